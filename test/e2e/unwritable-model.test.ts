/** A model that may be read and not written is served: another user's file, and one on a read-only mount. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { chmodSync, chownSync, cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fixture } from "../fixtures.ts"
import { executable } from "./executable.ts"
import { startServerProcess } from "./server-process.ts"
import { post } from "./serving.ts"

const built = executable()
const models = { safetensors: fixture("models/llama"), gguf: fixture("models/gguf-llama/Q4_1") }
const kinds = Object.keys(models) as (keyof typeof models)[]
const skip = built === null || Object.values(models).includes(null)
/** Of a user and a group that own nothing. */
const NOBODY = 65534
const isRoot = process.geteuid?.() === 0

let root = ""
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "baozi-unwritable-"))
  chmodSync(root, 0o755)
  if (skip) return
  for (const kind of kinds) {
    const to = join(root, kind)
    cpSync(models[kind]!, to, { recursive: true })
    for (const name of readdirSync(to)) chmodSync(join(to, name), isRoot ? 0o644 : 0o444)
    chmodSync(to, isRoot ? 0o755 : 0o555)
  }
  mkdirSync(join(root, "libraries"))
  if (isRoot) chownSync(join(root, "libraries"), NOBODY, NOBODY)
})
afterAll(() => {
  if (!skip && !isRoot) for (const kind of kinds) chmodSync(join(root, kind), 0o755)
  rmSync(root, { recursive: true })
})

/** Null, with a printed reason, where this command cannot be run here. */
function available(what: string, command: readonly string[]): boolean {
  const isThere = Bun.which(command[0]!) !== null && Bun.spawnSync([...command, "true"]).exitCode === 0
  if (!isThere) console.log(`SKIPPED: ${what}: \`${command.join(" ")}\` is not possible here`)
  return isThere
}

/** Starts the executable behind `prefix`, as its last words, and has a text completed. */
async function serves(prefix: readonly string[], model: string, libraries: string): Promise<void> {
  const command = [...prefix, built!, "serve", model, "--lib-dir", libraries]
  const env = { PATH: process.env["PATH"] ?? "" }
  const server = await startServerProcess(command, { cwd: "/", env, timeoutMs: 90_000 })
  const answer = await post(server, "/v1/completions", { prompt: "the quick", max_tokens: 3, temperature: 0 })
  expect(answer.status).toBe(200)
  expect(await server.stop()).toBe(0)
}

describe.skipIf(skip)("a model", () => {
  test.each(kinds)("of another user, mode 0644: %s", async (kind) => {
    const asNobody = ["setpriv", `--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups"]
    // Without another user to be, a file of one's own that is not writable is the next best.
    if (isRoot && !available("another user", [...asNobody, "env", "-C", join(built!, "..")])) return
    await serves(isRoot ? asNobody : [], join(root, kind), join(root, "libraries"))
    expect(statSync(join(root, kind)).uid).toBe(isRoot ? 0 : process.geteuid!())
  }, 120_000)

  test.each(kinds)("on a read-only mount: %s", async (kind) => {
    const path = join(root, kind)
    const mounted = `mount --bind "${path}" "${path}" && mount -o remount,bind,ro "${path}" && exec "$@"`
    const inside = ["unshare", "--mount", "sh", "-c", mounted, "sh"]
    if (!available("a read-only mount", inside)) return
    const writing = Bun.spawnSync([...inside, "sh", "-c", `: >> "${path}/config.json"`], { stderr: "ignore" })
    expect(writing.exitCode).not.toBe(0)
    const libraries = mkdtempSync(join(root, "own-"))
    await serves(inside, path, libraries)
  }, 120_000)
})
