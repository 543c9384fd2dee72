/** What the server does not take, over real sockets. */
import { afterAll, beforeAll, expect, test } from "bun:test"
import { connect } from "node:net"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { startServer } from "../../src/api/http/server.ts"
import type { ApiServer } from "../../src/api/http/server.ts"
import { ConfigError } from "../../src/base/errors.ts"
import { makeLog } from "../../src/base/log.ts"
import { makeFakeEngine } from "../fake-engine.ts"
import { until } from "../unit/api/harness.ts"

const MEGABYTE = 1024 * 1024
const lines: string[] = []
const log = makeLog({ write: (line) => lines.push(line) })
const fake = makeFakeEngine({ reply: "ok<|eos|>" })
let server: ApiServer

beforeAll(async () => {
  server = await startServer({ host: "127.0.0.1", port: 0, log, maxBodyBytes: 8 * MEGABYTE }, fake.engine)
})
afterAll(() => server.stop())

async function isWell(): Promise<boolean> {
  return (await fetch(`${server.url}/health`)).status === 200
}

function rawRequest(
  head: string,
  write: (send: (bytes: Uint8Array) => Promise<void>) => Promise<void>,
): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = ""
    const socket = connect(server.port, "127.0.0.1", () => {
      const send = (bytes: Uint8Array): Promise<void> => new Promise((sent) => socket.write(bytes, () => sent()))
      socket.write(head)
      write(send).then(() => {}, reject)
    })
    socket.on("data", (data) => {
      answer += String(data)
      if (answer.includes("}}")) socket.destroy()
    })
    socket.on("close", () => resolve(answer))
    socket.on("error", (error) => (answer === "" ? reject(error) : resolve(answer)))
  })
}

test.each([
  ["declared", "Content-Length: 104857600"],
  ["in chunks", "Transfer-Encoding: chunked"],
])("a body of 100 MB (%s) gets 413", async (_, header) => {
  const isChunked = header.startsWith("Transfer")
  const piece = new Uint8Array(MEGABYTE).fill(0x61)
  const head = `POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n${header}\r\n\r\n`
  const answer = await rawRequest(head, async (send) => {
    for (let i = 0; i < 100; i++) {
      if (isChunked) await send(Buffer.from(`${MEGABYTE.toString(16)}\r\n`))
      await send(piece)
      if (isChunked) await send(Buffer.from("\r\n"))
    }
    if (isChunked) await send(Buffer.from("0\r\n\r\n"))
  })
  expect(answer).toStartWith("HTTP/1.1 413")
  expect(JSON.parse(answer.slice(answer.indexOf("{")))).toEqual({
    error: { message: expect.stringContaining("8388608 bytes"), type: "RequestEntityTooLarge", param: null, code: 413 },
  })
  expect(await isWell()).toBe(true)
})

test("a body as large as allowed is read", async () => {
  const body = JSON.stringify({ prompt: "hi", wibble: "x".repeat(7 * MEGABYTE) })
  const init = { method: "POST", headers: { "content-type": "application/json" }, body }
  expect((await fetch(`${server.url}/v1/completions`, init)).status).toBe(200)
})

test("the log names each request but those for /health and /metrics", async () => {
  lines.length = 0
  for (const path of ["/health", "/metrics", "/version", "/nope"]) await fetch(`${server.url}${path}`)
  const answered = lines.filter((line) => line.includes("answered"))
  expect(answered).toHaveLength(2)
  expect(answered[0]).toContain("/version")
  expect(answered[1]).toContain("404")
})

test("a client that leaves in the middle of its body disturbs nobody", async () => {
  lines.length = 0
  await new Promise<void>((resolve) => {
    const socket = connect(server.port, "127.0.0.1", () => {
      const head = "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
      socket.write(`${head}Content-Length: 1000\r\n\r\n{"prompt`, () => setTimeout(() => socket.destroy(), 20))
    })
    socket.on("close", () => resolve())
  })
  await until(() => lines.length > 0, "the line about the request")
  expect(lines.join("")).toContain("499")
  expect(lines.join("")).not.toContain("ERROR")
  expect(await isWell()).toBe(true)
})

test("a client that stalls within its body is let go; one that waits for its answer is not", async () => {
  const stuck = makeFakeEngine({ stepMs: null })
  const other = await startServer({ host: "127.0.0.1", port: 0, log, keepAliveSeconds: 1 }, stuck.engine)
  const body = JSON.stringify({ prompt: "hi" })
  const type = `Content-Type: application/json\r\nContent-Length: ${body.length}`
  const head = `POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n${type}`
  const send = (text: string) => {
    const socket = connect(other.port, "127.0.0.1", () => socket.write(text))
    const closed = Promise.withResolvers<"closed">()
    socket.on("close", () => closed.resolve("closed"))
    socket.on("error", () => {})
    return closed.promise
  }
  const waiting = send(`${head}\r\n\r\n${body}`)
  const stalled = send(`${head}\r\n\r\n${body.slice(0, 5)}`)
  // Bun looks at its connections every few seconds.
  expect(await stalled).toBe("closed")
  expect(await Promise.race([waiting, Bun.sleep(1500).then(() => "waits")])).toBe("waits")
  expect(stuck.numLive()).toBe(1)
  await other.stop()
}, 20_000)

test("an address in use is a clear error", async () => {
  const second = startServer({ host: "127.0.0.1", port: server.port, log }, fake.engine)
  await expect(second).rejects.toThrow(ConfigError)
})

test("serves on a Unix socket", async () => {
  const dir = mkdtempSync(join(tmpdir(), "baozi-api-"))
  try {
    const path = join(dir, "api.sock")
    const onSocket = await startServer({ host: "", port: 0, uds: path, log }, fake.engine)
    expect(onSocket.url).toBe(`unix:${path}`)
    expect((await fetch("http://localhost/version", { unix: path })).status).toBe(200)
    await onSocket.stop()
  } finally {
    rmSync(dir, { recursive: true })
  }
})

test("after stop nothing is accepted", async () => {
  const other = await startServer({ host: "127.0.0.1", port: 0, log }, fake.engine)
  await other.stop()
  await expect(fetch(`${other.url}/health`)).rejects.toThrow()
})

test.each([
  ["HTTP/1.0 without a host", "GET /version HTTP/1.0\r\n\r\n", 200],
  ["an empty host", "GET /version HTTP/1.1\r\nHost: \r\n\r\n", 200],
  ["a host that is none", "GET /version HTTP/1.1\r\nHost: a b\r\n\r\n", 403],
  ["a host with a path", "GET /version HTTP/1.1\r\nHost: a/b?c\r\n\r\n", 403],
  ["a port that is none", "GET /version HTTP/1.1\r\nHost: localhost:99999999\r\n\r\n", 200],
  ["two hosts", "GET /version HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n", 403],
  ["a path that is none", "GET /v1/responses/% HTTP/1.1\r\nHost: localhost\r\n\r\n", 400],
  ["no path of its own", "GET // HTTP/1.1\r\nHost: localhost\r\n\r\n", 404],
])("%s is no fault of the server's", async (_, request, status) => {
  const answer = await new Promise<string>((resolve, reject) => {
    let text = ""
    const socket = connect(server.port, "127.0.0.1", () => socket.write(request))
    socket.on("data", (data) => {
      text += String(data)
      socket.end()
    })
    socket.on("close", () => resolve(text))
    socket.on("error", reject)
  })
  expect(answer).toStartWith(`HTTP/1.1 ${status} `)
  expect(await isWell()).toBe(true)
})
