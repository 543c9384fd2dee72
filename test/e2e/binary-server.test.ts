import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { executable } from "./executable.ts"
import { defaultModel } from "./models.ts"
import { startServerProcess, type ServerProcess } from "./server-process.ts"

/** The executable as a process: starting, idling, answering while it computes, ending. */
const built = executable()
const model = defaultModel()

describe.skipIf(built === null || model === null)("the server process", () => {
  let dir: string
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), "baozi-server-"))
  })
  afterAll(() => rmSync(dir, { recursive: true }))

  const start = (...flags: string[]): Promise<ServerProcess> =>
    startServerProcess([built!, "serve", model!, ...flags], { cwd: dir, env: { XDG_CACHE_HOME: dir } })

  const complete = (server: ServerProcess, body: object): Promise<Response> =>
    fetch(`${server.url}/v1/completions`, {
      method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body),
    })

  test("prints the memory plan first and then one line when it is ready", async () => {
    const server = await start()
    const lines = server.log().trim().split("\n")
    expect(lines[0]).toMatch(/memory plan: weights \d+ MiB, scratch \d+ MiB, KV cache \d+ MiB/)
    expect(lines.at(-1)).toMatch(/ready in [\d.]+ s: serving /)
    expect(await server.stop()).toBe(0)
  }, 60_000)

  test("uses no processor time while it is idle", async () => {
    const server = await start()
    await (await complete(server, { prompt: "warm", max_tokens: 4 })).text()
    await Bun.sleep(500)
    const before = cpuTicks(server.pid)
    await Bun.sleep(2000)
    // In ticks of 10 ms: 2 seconds of one busy thread would be 200.
    expect(cpuTicks(server.pid) - before).toBeLessThanOrEqual(6)
    await server.stop()
  }, 60_000)

  test("answers /health while a long prompt is in prefill", async () => {
    const server = await start("--max-model-len", "8192", "--num-gpu-blocks-override", "80")
    await (await complete(server, { prompt: "warm", max_tokens: 2 })).text()
    const long = { prompt: Array.from({ length: 4000 }, (_, i) => 1000 + (i % 20_000)), max_tokens: 1 }
    let isDone = false
    const running = complete(server, long).then(async (response) => {
      await response.text()
      isDone = true
      return response.status
    })
    const waits: number[] = []
    while (!isDone) {
      const asked = performance.now()
      expect((await fetch(`${server.url}/health`)).status).toBe(200)
      waits.push(performance.now() - asked)
      await Bun.sleep(10)
    }
    expect(await running).toBe(200)
    expect(waits.length).toBeGreaterThan(5)
    // The median is the server's; a single wait may be the machine's.
    expect(waits.toSorted((a, b) => a - b)[Math.floor(waits.length / 2)]!).toBeLessThan(50)
    await server.stop()
  }, 120_000)

  test("SIGINT and SIGTERM end it with 0, also while it computes", async () => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      const server = await start()
      const streaming = await complete(server, { prompt: "1 2 3", max_tokens: 2000, stream: true, ignore_eos: true })
      const ended = performance.now()
      expect(await server.stop(signal)).toBe(0)
      expect(performance.now() - ended).toBeLessThan(5000)
      await streaming.text().catch(() => "cut off, as it should be")
    }
  }, 60_000)

  test("two servers on one port: the second says so", async () => {
    const first = await start()
    const port = new URL(first.url).port
    const second = Bun.spawnSync([built!, "serve", model!, "--port", port], { cwd: dir, env: { XDG_CACHE_HOME: dir } })
    expect(second.exitCode).toBe(1)
    expect(second.stderr.toString()).toMatch(new RegExp(`error: .*${port}`))
    await first.stop()
  }, 60_000)
})

/** User and system time of all threads, in clock ticks. */
function cpuTicks(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
  return Number(fields[11]) + Number(fields[12])
}
