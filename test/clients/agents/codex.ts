import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { MODEL, type Client } from "../client.ts"
import { thinking, toolCall } from "../script.ts"
import { CODE_WORD, DONE, NOTES, runAgent, TASK } from "./task.ts"

const config = (url: string) => `
model = "${MODEL}"
model_provider = "baozi"

[model_providers.baozi]
name = "Baozi"
base_url = "${url}/v1"
wire_api = "responses"

[analytics]
enabled = false
`

/** Also starts an agent of its own, by a function that is in a namespace. */
export const codex: Client = {
  name: "codex",
  registry: "npm",
  packages: ["@openai/codex@0.171.0"],
  script: () => [
    { when: [TASK, NOTES, '"agent_id"'], say: DONE },
    {
      when: [TASK, NOTES, `written: ${CODE_WORD}`],
      say: `${thinking("Now another agent.")}I start an agent.\n` +
        toolCall("multi_agent_v1__spawn_agent", { message: "Say hello." }),
    },
    {
      when: [TASK, NOTES],
      say: thinking("Write it.") +
        toolCall("exec_command", { cmd: `printf ${CODE_WORD} > answer.txt; echo written: $(cat answer.txt)` }),
    },
    {
      when: [TASK],
      say: `${thinking("Read it.")}I read the file.\n${toolCall("exec_command", { cmd: "cat notes.txt" })}`,
    },
    { when: ["Say hello."], say: `${thinking("A greeting.")}Hello!` },
  ],
  async run(session) {
    const home = join(session.directory, ".codex")
    mkdirSync(home)
    writeFileSync(join(home, "config.toml"), config(session.url))
    const program = join(session.prefix, "node_modules/.bin/codex")
    const flags = ["--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"]
    await runAgent(session, [program, "exec", ...flags, TASK], { CODEX_HOME: home })
    return "exec: 2 commands, 1 agent in a namespace"
  },
}
