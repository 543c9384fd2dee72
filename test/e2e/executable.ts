import { existsSync } from "node:fs"
import { resolve } from "node:path"

const DEFAULT_PATH = resolve(import.meta.dir, "../../dist/baozi")

/** The compiled executable, or null, with a line that says so, where it has not been built. */
export function executable(): string | null {
  const path = process.env["BAOZI_EXECUTABLE"] ?? DEFAULT_PATH
  if (existsSync(path)) return path
  console.log(`SKIPPED: ${path} is not built; run \`make build\``)
  return null
}

export interface Finished {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs a command to its end with exactly the environment `env`. */
export function runToEnd(command: readonly string[], options: { cwd: string; env?: Record<string, string> }): Finished {
  const { cwd, env = {} } = options
  const result = Bun.spawnSync([...command], { cwd, env, stdin: "ignore", timeout: 60_000 })
  return { code: result.exitCode, stdout: result.stdout.toString(), stderr: result.stderr.toString() }
}
