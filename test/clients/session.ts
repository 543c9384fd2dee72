/**
 * A client's task: a server of its own, an empty directory, and a look at the server's log afterwards. The directory is
 * not within the repository: agents look for one above them, and would work on it.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join, resolve } from "node:path"
import { startServerProcess } from "../e2e/server-process.ts"
import type { Client, Output, Session } from "./client.ts"
import { prefixOf } from "./install.ts"
import { MODEL_FLAGS } from "./model.ts"
import { SCRIPT_VARIABLE, writeScript } from "./script.ts"

const PROCESSOR = resolve(import.meta.dir, "scripted-answers.ts")
/** Agents start slowly, and wait for hosts that are not there. */
const TIMEOUT_MS = 180_000

export interface Places {
  readonly executable: string
  readonly root: string
  readonly model: string
  readonly node: string
}

interface Directories {
  readonly work: string
  readonly logs: string
}

/** What the server's log tells of a task: `POST /v1/responses` of each answer, and what it warned of. */
export interface LogSummary {
  readonly requests: readonly string[]
  readonly refused: readonly number[]
  readonly warnings: readonly string[]
}

/** Runs a client's task. Resolves with what was done, and what the server saw. Errors: say what was not as wanted. */
export async function runTask(client: Client, places: Places): Promise<{ done: string; log: LogSummary }> {
  const directory = mkdtempSync(join(tmpdir(), `baozi-${client.name}-`))
  const work = join(directory, "work")
  mkdirSync(work)
  const logs = join(places.root, "logs", client.name)
  rmSync(logs, { recursive: true, force: true })
  mkdirSync(logs, { recursive: true })
  const script = join(directory, "script.json")
  await writeScript(script, places.model, client.script(work))
  const command = [
    places.executable, "serve", places.model, ...MODEL_FLAGS, "--log-format", "json", "--logits-processors", PROCESSOR,
    "--lib-dir", join(places.root, "lib"),
  ]
  const env = { HOME: directory, [SCRIPT_VARIABLE]: script }
  const server = await startServerProcess(command, { cwd: directory, env, timeoutMs: 60_000 })
  try {
    const session = sessionOf(client, places, server.url, { work, logs })
    const done = await client.run(session)
    const log = summarize(server.log())
    const unwanted = log.refused.filter((status) => !client.refusals?.includes(status))
    if (unwanted.length > 0) throw new Error(`the server answered with ${unwanted.join(", ")}`)
    return { done, log }
  } finally {
    await server.stop()
    writeFileSync(join(logs, "server.log"), server.log())
    rmSync(directory, { recursive: true })
  }
}

function sessionOf(client: Client, places: Places, url: string, directories: Directories): Session {
  const { work, logs } = directories
  const prefix = prefixOf(places.root, client)
  const run = async (command: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Output> => {
    const path = [dirname(places.node), join(prefix, "bin"), process.env["PATH"] ?? ""].join(":")
    const child = Bun.spawn([...command], {
      cwd: work, stdin: "ignore", stdout: "pipe", stderr: "pipe", timeout: TIMEOUT_MS,
      env: { PATH: path, HOME: work, TERM: "dumb", LANG: "C.UTF-8", ...env },
    })
    const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()])
    const output = { code: await child.exited, stdout, stderr }
    writeFileSync(join(logs, "client.log"), `${command.join(" ")}\n${stdout}\n--- stderr\n${stderr}`)
    return output
  }
  return { url, prefix, directory: work, node: places.node, run }
}

/** Of the log that `--log-format json` writes. */
export function summarize(log: string): LogSummary {
  const lines = log.split("\n").flatMap((line) => {
    try {
      return [JSON.parse(line) as Record<string, unknown>]
    } catch {
      return []
    }
  })
  const answers = lines.filter(({ message }) => message === "answered")
  return {
    requests: answers.map(({ method, path }) => `${method} ${path}`),
    refused: answers.map(({ status }) => Number(status)).filter((status) => status >= 400),
    warnings: lines.filter(({ level }) => level === "warning").map(warningOf),
  }
}

function warningOf({ time: _, level: __, message, ...fields }: Readonly<Record<string, unknown>>): string {
  return `${message} ${Object.entries(fields).map(([name, value]) => `${name}=${value}`).join(" ")}`
}
