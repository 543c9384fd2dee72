import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { MODEL, type Client } from "../client.ts"
import { thinking, toolCall } from "../script.ts"
import { CODE_WORD, DONE, NOTES, runAgent, TASK } from "./task.ts"

const config = (url: string) => ({
  autoupdate: false,
  share: "disabled",
  model: `baozi/${MODEL}`,
  provider: {
    baozi: {
      npm: "@ai-sdk/openai-compatible",
      name: "Baozi",
      options: { baseURL: `${url}/v1`, apiKey: "none" },
      models: { [MODEL]: { name: MODEL, limit: { context: 131_072, output: 8192 } } },
    },
  },
})

export const opencode: Client = {
  name: "opencode",
  registry: "npm",
  packages: ["opencode-ai@1.18.33"],
  script: (directory) => [
    { when: ["You are a title generator"], say: `${thinking("Short.")}Code word` },
    { when: [TASK, NOTES, "Wrote file successfully"], say: DONE },
    {
      when: [TASK, NOTES],
      say: thinking("Write it.") + toolCall("write", { filePath: join(directory, "answer.txt"), content: CODE_WORD }),
    },
    {
      when: [TASK],
      say: `${thinking("Read it.")}I read the file.\n${toolCall("read", { filePath: join(directory, "notes.txt") })}`,
    },
  ],
  async run(session) {
    writeFileSync(join(session.directory, "opencode.json"), JSON.stringify(config(session.url)))
    const program = join(session.prefix, `node_modules/opencode-linux-${process.arch}/bin/opencode`)
    await runAgent(session, [program, "run", TASK], {})
    return "run: 2 tools, a title"
  },
}
