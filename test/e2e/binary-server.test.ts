import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { connect } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { executable } from "./executable.ts"
import { defaultModel } from "./models.ts"
import { startServerProcess, type ServerProcess } from "./server-process.ts"

const MEGABYTE = 2 ** 20

/** The executable as a process: what it says when it starts, what its flags do, how it ends. */
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

  test("prints the memory plan first, one line when it is ready, and ends with 0 on SIGINT", async () => {
    const server = await start()
    const lines = server.log().trim().split("\n")
    expect(lines[0]).toMatch(/memory plan: weights \d+ MiB, scratch \d+ MiB, texts \d+ MiB, KV cache \d+ MiB/)
    expect(lines.at(-1)).toMatch(/ready in [\d.]+ s: serving /)
    expect(await server.stop("SIGINT")).toBe(0)
  }, 60_000)

  test("answers to its names and asks for its keys", async () => {
    const server = await start("--served-model-name", "first", "second", "--api-key", "one", "two")
    const list = (key: string) => fetch(`${server.url}/v1/models`, { headers: { authorization: `Bearer ${key}` } })
    const body = (await (await list("two")).json()) as { data: { id: string }[] }
    expect(body.data.map(({ id }) => id)).toEqual(["first", "second"])
    expect((await list("three")).status).toBe(401)
    await server.stop()
  }, 60_000)

  test("--enable-log-requests logs what is asked, never the prompt; --seed repeats from start to start", async () => {
    const texts: string[] = []
    for (let run = 0; run < 2; run++) {
      const server = await start("--enable-log-requests", "--log-format", "json", "--seed", "1")
      const response = await fetch(`${server.url}/v1/completions`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ prompt: "a secret", max_tokens: 6, temperature: 2 }),
      })
      const body = (await response.json()) as { choices: { text: string }[] }
      texts.push(body.choices[0]!.text)
      await server.stop()
      const logged = server.log().split("\n").filter((line) => line.includes('"message":"request"'))
      expect(logged).toHaveLength(1)
      expect(JSON.parse(logged[0]!)).toMatchObject({ level: "info", promptTokens: 2, priority: 0 })
      expect(server.log()).not.toContain("secret")
    }
    expect(texts[0]).toBe(texts[1]!)
  }, 60_000)

  test("a body of 100 MB in chunks gets 413 and never lies in memory", async () => {
    // A small cache: memory that is made ready for it after the start would be counted.
    const server = await start("--max-body-bytes", "8M", "--kv-cache-memory-bytes", "16M", "--max-model-len", "256")
    const before = peakMemory(server.pid)
    expect(await sendChunks(server.url, 100)).toStartWith("HTTP/1.1 413")
    // The runtime's own heap grows too, by up to half of the body; a body that is kept would be all of it and more.
    expect(peakMemory(server.pid) - before).toBeLessThan(80 * MEGABYTE)
    await server.stop()
  }, 60_000)

  test("says that its address cannot be had, before it loads a model for it", async () => {
    const refused = (...flags: string[]): string => {
      const options = { cwd: dir, env: { XDG_CACHE_HOME: dir } }
      const { exitCode, stderr } = Bun.spawnSync([built!, "serve", model!, ...flags], options)
      expect(exitCode).toBe(1)
      return stderr.toString()
    }
    const first = await start()
    const { port } = new URL(first.url)
    expect(refused("--port", port)).toBe(`error: cannot listen on 127.0.0.1:${port}: the port is in use\n`)
    await first.stop()
    expect(refused("--uds", join(dir, "nowhere/socket"))).toMatch(/^error: cannot listen on .*nowhere\/socket: .*\n$/)
    const tls = ["--ssl-certfile", join(dir, "absent"), "--ssl-keyfile", join(dir, "absent")]
    expect(refused("--port", "0", ...tls)).toMatch(/^error: --ssl-certfile .*absent: .*\n$/)
  }, 60_000)
})

/** The most memory the process has ever held, in bytes. */
function peakMemory(pid: number): number {
  return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]) * 1024
}

/** Sends a body of so many megabytes, as far as the server takes it. Resolves with what came back. */
function sendChunks(url: string, megabytes: number): Promise<string> {
  const { hostname, port } = new URL(url)
  const piece = Buffer.concat([
    Buffer.from(`${MEGABYTE.toString(16)}\r\n`), Buffer.alloc(MEGABYTE, "a"), Buffer.from("\r\n"),
  ])
  return new Promise((resolve) => {
    let answer = ""
    const socket = connect(Number(port), hostname, async () => {
      socket.write("POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n")
      socket.write("Transfer-Encoding: chunked\r\n\r\n")
      for (let i = 0; i < megabytes && answer === ""; i++) await new Promise((sent) => socket.write(piece, sent))
      socket.write("0\r\n\r\n")
    })
    socket.on("data", (data) => {
      answer += String(data)
      if (answer.includes("}}")) socket.destroy()
    })
    socket.on("error", () => {}) // the server may close before it has read all
    socket.on("close", () => resolve(answer))
  })
}
