import { join } from "node:path"
import { MODEL, type Client } from "../client.ts"
import { thinking, toolCall } from "../script.ts"
import { CODE_WORD, DONE, NOTES, runAgent, TASK } from "./task.ts"

export const qwenCode: Client = {
  name: "qwen-code",
  registry: "npm",
  packages: ["@qwen-code/qwen-code@0.24.4"],
  script: (directory) => [
    { when: ["memory extraction subagent"], say: `${thinking("Nothing of use.")}Nothing to remember.` },
    { when: [TASK, NOTES, "Successfully created and wrote"], say: DONE },
    {
      when: [TASK, NOTES],
      say: thinking("Write it.") +
        toolCall("write_file", { file_path: join(directory, "answer.txt"), content: CODE_WORD }),
    },
    {
      when: [TASK],
      say: `${thinking("Read it.")}I read the file.\n` +
        toolCall("read_file", { file_path: join(directory, "notes.txt") }),
    },
  ],
  async run(session) {
    const program = join(session.prefix, "node_modules/.bin/qwen")
    const env = { OPENAI_BASE_URL: `${session.url}/v1`, OPENAI_API_KEY: "none", OPENAI_MODEL: MODEL }
    await runAgent(session, [program, "--auth-type", "openai", "--yolo", "-p", TASK], env)
    return "-p: 2 tools"
  },
}
