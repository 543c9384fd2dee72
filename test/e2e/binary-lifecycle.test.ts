/** How the executable comes and goes: over TLS and Unix sockets, drained or at once, with an engine that dies. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { connect } from "node:net"
import type { Socket } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fixture } from "../fixtures.ts"
import { executable } from "./executable.ts"
import { defaultModel } from "./models.ts"
import { startServerProcess } from "./server-process.ts"
import type { ServerProcess } from "./server-process.ts"
import { post, until } from "./serving.ts"

const built = executable()
const tiny = fixture("models/llama")
const model = defaultModel()
const openssl = Bun.which("openssl")

let dir = ""
beforeAll(() => void (dir = mkdtempSync(join(tmpdir(), "baozi-lifecycle-"))))
afterAll(() => rmSync(dir, { recursive: true }))

function start(path: string, ...flags: string[]): Promise<ServerProcess> {
  const env = { HOME: process.env["HOME"] ?? dir }
  return startServerProcess([built!, "serve", path, ...flags], { cwd: dir, env, timeoutMs: 60_000 })
}

/**
 * A logits processor that makes the step itself fail, as a device does, and not the request alone: the step reads the
 * array that the processor was given.
 */
const BREAKS_THE_STEP = `export default {
  name: "breaks-the-step",
  add: ({ args }) => args.break === undefined ? null : {
    apply: (logits) => void (logits.includes = () => { throw new Error("the device failed") }),
  },
}
`

interface Choices {
  readonly choices: readonly { readonly text: string; readonly finish_reason: string }[]
}

const LONG = { prompt: "Count:", max_tokens: 2000, ignore_eos: true }

describe.skipIf(built === null || model === null)("the end", () => {
  /** A server with one request that runs. */
  async function busy(body: object, ...flags: string[]): Promise<{ server: ServerProcess; answer: Promise<Response> }> {
    const server = await start(model!, ...flags)
    const answer = post(server, "/v1/completions", body)
    answer.catch(() => {})
    const load = async () => ((await (await fetch(`${server.url}/load`)).json()) as { server_load: number }).server_load
    await until("it runs", async () => (await load()) === 1)
    return { server, answer }
  }
  const isDraining = (server: ServerProcess) => async () => (await fetch(`${server.url}/ready`)).status === 503

  test("SIGTERM lets what runs finish, refuses what comes, and ends with 0", async () => {
    const { server, answer } = await busy({ ...LONG, max_tokens: 40 }, "--shutdown-timeout", "120")
    const code = server.stop("SIGTERM")
    await until("it drains", isDraining(server))
    expect((await fetch(`${server.url}/health`)).status).toBe(200)
    const late = await post(server, "/v1/completions", LONG)
    expect([late.status, late.headers.get("retry-after")]).toEqual([503, "5"])
    expect(((await (await answer).json()) as Choices).choices[0]!.finish_reason).toBe("length")
    expect(await code).toBe(0)
  }, 120_000)

  test("what does not finish within --shutdown-timeout ends as aborted", async () => {
    const { server, answer } = await busy(LONG, "--shutdown-timeout", "1")
    const code = server.stop("SIGTERM")
    const [choice] = ((await (await answer).json()) as Choices).choices
    expect(choice!.finish_reason).toBe("abort")
    expect(await code).toBe(0)
  }, 120_000)

  test("a second signal ends it now", async () => {
    const { server } = await busy(LONG)
    void server.stop("SIGTERM")
    await until("it drains", isDraining(server))
    expect(await server.stop("SIGINT")).toBe(130)
    expect(server.log()).toContain("SIGINT again: ending now")
  }, 120_000)
})

describe.skipIf(built === null || tiny === null)("a tiny model", () => {
  test("that is being loaded is left at the first signal; what modules print is in the log", async () => {
    const module = join(dir, "endless.js")
    writeFileSync(module, 'console.warn("loading\\nfor ever"); await new Promise(() => setInterval(() => {}, 1e6))\n')
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      const child = Bun.spawn([built!, "serve", tiny!, "--port", "0", "--logits-processors", module], {
        cwd: dir, env: { HOME: process.env["HOME"] ?? dir }, stdout: "pipe", stderr: "pipe",
      })
      let log = ""
      for await (const chunk of child.stderr) {
        log += Buffer.from(chunk).toString()
        if (log.endsWith("for ever\n")) child.kill(signal)
      }
      expect(await child.exited).toBe(0)
      expect(log).toMatch(/^WARNING \S+ loading\nWARNING \S+ for ever$/m)
      expect(log).toContain(`stopping: ${signal}, before the model was loaded`)
      expect(await child.stdout.text()).toBe("")
    }
  }, 120_000)

  test("speaks TLS, and asks clients for certificates where it is told to", async () => {
    if (openssl === null) return console.log("SKIPPED: openssl is not here")
    for (const name of ["server", "client"]) {
      const words = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", `/CN=${name}`]
      const files = ["-keyout", join(dir, `${name}.key`), "-out", join(dir, `${name}.crt`)]
      const names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
      expect(Bun.spawnSync([openssl, ...words, ...files, ...names]).exitCode).toBe(0)
    }
    const pem = (name: string) => readFileSync(join(dir, name), "utf8")
    const certificate = ["--ssl-certfile", join(dir, "server.crt"), "--ssl-keyfile", join(dir, "server.key")]
    const server = await start(tiny!, ...certificate, "--ssl-ca-certs", join(dir, "client.crt"))
    expect(server.url).toStartWith("https://")
    const ca = pem("server.crt")
    const health = (tls: object) => fetch(`${server.url}/health`, { tls: { ca, ...tls } } as RequestInit)
    expect((await health({ cert: pem("client.crt"), key: pem("client.key") })).status).toBe(200)
    await expect(health({})).rejects.toThrow()
    expect(await server.stop()).toBe(0)
    const wrong = start(tiny!, "--ssl-certfile", join(dir, "server.crt"), "--ssl-keyfile", join(dir, "client.key"))
    await expect(wrong).rejects.toThrow(/error: --ssl-keyfile .* is not the key of --ssl-certfile/)
  }, 120_000)

  test("listens on a Unix socket, also where one was left behind", async () => {
    const path = join(dir, "baozi.sock")
    for (const signal of ["SIGKILL", "SIGTERM"] as const) {
      const child = Bun.spawn([built!, "serve", tiny!, "--uds", path], {
        cwd: dir, env: { HOME: process.env["HOME"] ?? dir }, stdout: "ignore", stderr: "ignore",
      })
      const isUp = () => fetch("http://localhost/ready", { unix: path }).then(({ ok }) => ok, () => false)
      await until("it answers", isUp)
      child.kill(signal)
      await child.exited
      expect(existsSync(path)).toBe(signal === "SIGKILL")
    }
  }, 120_000)

  test("a reader that stops neither has its events pile up nor loses text", async () => {
    const server = await start(tiny!, "--max-num-seqs", "256", "--max-num-batched-tokens", "2048")
    const [numPrompts, numTokens] = [60, 200]
    // A long name makes events long: a stream of 2 kB a token, more than the sockets hold.
    const prompt = "the quick"
    const common = { max_tokens: numTokens, ignore_eos: true, temperature: 0, request_id: "x".repeat(2000) }
    const body = { ...common, prompt: Array(numPrompts).fill(prompt), stream: true }
    const socket = send(server, "/v1/completions", body)
    socket.pause()
    const isMade = async () => Number(await generatedTokens(server)) >= numPrompts * numTokens
    await until("all is made", isMade, 180_000)
    let answer = ""
    socket.on("data", (data) => (answer += data.toString("latin1")))
    socket.resume()
    await until("all is read", async () => answer.endsWith("\r\n0\r\n\r\n"), 60_000)
    socket.destroy()
    const events = Buffer.from(dechunked(answer), "latin1").toString()
    const numEvents = events.match(/^data: \{/gm)!.length
    console.log(`${numPrompts * numTokens} tokens came in ${numEvents} events when the reader read again`)
    expect(numEvents).toBeLessThan((numPrompts * numTokens) / 2)
    expect(events.match(/"finish_reason":"length"/g)!.length).toBe(numPrompts)
    const texts = new Map<number, string>()
    for (const [, json] of events.matchAll(/^data: (\{.*\})\r?$/gm)) {
      const [choice] = (JSON.parse(json!) as { choices: { index: number; text: string }[] }).choices
      texts.set(choice!.index, (texts.get(choice!.index) ?? "") + choice!.text)
    }
    const whole = await post(server, "/v1/completions", { ...common, prompt })
    const expected = ((await whole.json()) as Choices).choices[0]!.text
    expect(new Set(texts.values())).toEqual(new Set([expected]))
    await server.stop()
  }, 300_000)

  test("an engine that dies fails its requests, is started again once, and is the end the second time", async () => {
    const processor = join(dir, "breaks-the-step.ts")
    writeFileSync(processor, BREAKS_THE_STEP)
    const server = await start(tiny!, "--logits-processors", processor)
    const ask = (vllm_xargs: object) =>
      post(server, "/v1/completions", { prompt: [5, 6, 7], max_tokens: 3, temperature: 0, vllm_xargs })
    expect((await ask({})).status).toBe(200)
    const killed = await ask({ break: 1 })
    expect(killed.status).toBe(500)
    expect(await killed.text()).not.toContain(dir)
    await until("it works again", async () => (await fetch(`${server.url}/ready`)).status === 200)
    expect((await fetch(`${server.url}/health`)).status).toBe(200)
    expect((await ask({})).status).toBe(200)
    expect(server.log()).toMatch(/The engine died: .*it is started again, this once/)
    expect(server.log()).toContain("the engine works again")
    await ask({ break: 1 }).catch(() => {})
    expect(await server.exited).toBe(1)
    expect(server.log()).toMatch(/stopping: The engine died/)
  }, 120_000)
})

async function generatedTokens(server: ServerProcess): Promise<string | undefined> {
  const metrics = await (await fetch(`${server.url}/metrics`)).text()
  return /^vllm:generation_tokens_total\{.*\} (\S+)$/m.exec(metrics)?.[1]
}

/** The body of an answer in HTTP's chunks; read as Latin-1, so that a byte is a character. */
function dechunked(answer: string): string {
  let body = ""
  for (let at = answer.indexOf("\r\n\r\n") + 4; ; ) {
    const lineEnd = answer.indexOf("\r\n", at)
    const size = Number.parseInt(answer.slice(at, lineEnd), 16)
    if (size === 0) return body
    body += answer.slice(lineEnd + 2, lineEnd + 2 + size)
    at = lineEnd + 2 + size + 2
  }
}

/** Sends a request over a socket of its own. */
function send(server: ServerProcess, path: string, body: object): Socket {
  const text = JSON.stringify(body)
  const { hostname, port } = new URL(server.url)
  const socket = connect(Number(port), hostname)
  const type = `Content-Type: application/json\r\nContent-Length: ${text.length}`
  socket.write(`POST ${path} HTTP/1.1\r\nHost: localhost\r\n${type}\r\n\r\n${text}`)
  return socket
}
