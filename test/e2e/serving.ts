import { afterAll, beforeAll } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { present } from "../../src/base/assert.ts"
import { executable } from "./executable.ts"
import { startServerProcess, type ServerProcess } from "./server-process.ts"

/**
 * Starts the compiled executable on `model` for the tests of a file, from an empty directory, and stops it afterwards.
 * `skip` is true, with a printed reason, where the executable or the model is not here.
 */
export function serving(
  model: string | null,
  flags: readonly string[] = [],
): { skip: boolean; server: () => ServerProcess } {
  const path = executable()
  const skip = path === null || model === null
  let server: ServerProcess | null = null
  let cwd = ""
  beforeAll(async () => {
    if (skip) return
    cwd = mkdtempSync(join(tmpdir(), "baozi-serving-"))
    const env = { HOME: process.env["HOME"] ?? cwd }
    server = await startServerProcess([path, "serve", model, ...flags], { cwd, env, timeoutMs: 60_000 })
  }, 70_000)
  afterAll(async () => {
    if (server === null) return
    await server.stop()
    rmSync(cwd, { recursive: true })
  })
  return { skip, server: () => present(server, "server") }
}

export async function post(
  server: Pick<ServerProcess, "url">,
  path: string,
  body: unknown,
  init: RequestInit = {},
): Promise<Response> {
  return fetch(server.url + path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
    ...init,
  })
}

/** The value of a gauge or counter on /metrics. */
export async function metric(server: ServerProcess, name: string): Promise<number> {
  const text = await (await fetch(`${server.url}/metrics`)).text()
  const line = text.split("\n").find((candidate) => candidate.startsWith(`${name}{`))
  return Number(present(line, name).split(" ").at(-1))
}

/** Waits until `condition` holds, looking again and again; errors after `timeoutMs`. */
export async function until(what: string, condition: () => Promise<boolean>, timeoutMs = 60_000): Promise<void> {
  const end = performance.now() + timeoutMs
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`${what}: not within ${timeoutMs} ms`)
    await Bun.sleep(5)
  }
}
