/** Lines of earlier sessions, newest first, in a file that only this user reads. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"

const MAX_LINES = 1000

/** Null for a user without a home. */
export function historyPath(env: Readonly<Record<string, string | undefined>>): string | null {
  const state = env["XDG_STATE_HOME"]
  if (state?.startsWith("/")) return join(state, "baozi/history")
  return env["HOME"] ? join(env["HOME"], ".local/state/baozi/history") : null
}

export function readHistory(path: string | null): string[] {
  if (path === null) return []
  try {
    return readFileSync(path, "utf8").split("\n").filter((line) => line !== "").reverse()
  } catch {
    return []
  }
}

/** History is a convenience: where it cannot be written, it is not kept. */
export function writeHistory(path: string | null, newestFirst: readonly string[]): void {
  if (path === null) return
  const lines = [...new Set(newestFirst)].slice(0, MAX_LINES).reverse()
  const temporary = `${path}.${process.pid}`
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    writeFileSync(temporary, `${lines.join("\n")}\n`, { mode: 0o600 })
    renameSync(temporary, path)
  } catch {
    return
  }
}
