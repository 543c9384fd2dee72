import { rmSync } from "node:fs"
import { join } from "node:path"
import { MODEL, type Client } from "../client.ts"
import { thinking } from "../script.ts"
import { CODE_WORD, NOTES, runAgent, TASK } from "./task.ts"

const FLAGS = [
  "--model", `openai/${MODEL}`, "--no-git", "--yes-always", "--no-check-update", "--analytics-disable",
  "--no-show-model-warnings", "--no-show-release-notes", "--no-pretty",
]
const SAYS = "The code word goes into the file. ✅"

/** Reads and writes files by the text of the conversation: it gives the model no tools. */
export const aider: Client = {
  name: "aider",
  registry: "pip",
  packages: ["aider-chat==0.86.2"],
  script: () => [
    { when: [TASK, NOTES], say: `${thinking("A whole file.")}${SAYS}\n\nanswer.txt\n\`\`\`\n${CODE_WORD}\n\`\`\`` },
  ],
  async run(session) {
    const program = join(session.prefix, "bin/aider")
    // Its table of models is on the network otherwise.
    const env = {
      OPENAI_API_BASE: `${session.url}/v1`, OPENAI_API_KEY: "none", LITELLM_LOCAL_MODEL_COST_MAP: "True",
    }
    for (const stream of ["--stream", "--no-stream"]) {
      rmSync(join(session.directory, "answer.txt"), { force: true })
      await runAgent(session, [program, ...FLAGS, stream, "--message", TASK, "notes.txt"], env, SAYS)
    }
    return "--message: a file edited, streamed and not"
  },
}
