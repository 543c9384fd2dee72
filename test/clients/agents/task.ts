/** What every agent is asked to do: read a file, write a second one, and say so. */
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Session } from "../client.ts"
import { thinking } from "../script.ts"

export const TASK = "Read notes.txt, and write the code word in it to answer.txt."
export const NOTES = "The code word is kestrel-7421."
export const CODE_WORD = "kestrel-7421"
export const DONE = `${thinking("All is written.")}The code word was kestrel-7421. ✅`

/** Errors: unless the agent ended well, wrote the file and said what the model did. */
export async function runAgent(
  session: Session,
  command: readonly string[],
  env: Readonly<Record<string, string>>,
  says = "The code word was kestrel-7421. ✅",
): Promise<void> {
  writeFileSync(join(session.directory, "notes.txt"), `${NOTES}\n`)
  const { code, stdout, stderr } = await session.run(command, env)
  const answer = join(session.directory, "answer.txt")
  const written = existsSync(answer) ? readFileSync(answer, "utf8").trim() : null
  if (code !== 0) throw new Error(`ended with ${code}: ${stderr.trimEnd().split("\n").slice(-3).join(" ")}`)
  if (written !== CODE_WORD) throw new Error(`answer.txt holds ${JSON.stringify(written)}`)
  if (!stdout.includes(says)) throw new Error(`said ${JSON.stringify(stdout.slice(-300))}`)
}
