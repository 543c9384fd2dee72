/**
 * Clients that go away, over real sockets: whatever state their request is in, it is aborted. And those that stay: a
 * request may be quiet for as long as it takes.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { connect } from "node:net"
import type { Socket } from "node:net"
import { startServer } from "../../src/api/http/server.ts"
import type { ApiServer } from "../../src/api/http/server.ts"
import { makeLog } from "../../src/base/log.ts"
import { ChatTemplate } from "../../src/text/chat-template.ts"
import { makeFakeEngine } from "../fake-engine.ts"
import type { FakeEngine } from "../fake-engine.ts"
import { until } from "../unit/api/harness.ts"

const silent = makeLog({ write: () => {} })
const template = ChatTemplate.parse("{{ messages[0]['content'] }}")

interface Served {
  readonly fake: FakeEngine
  readonly server: ApiServer
}

async function serve(options: Parameters<typeof makeFakeEngine>[0]): Promise<Served> {
  const fake = makeFakeEngine({ reply: "a", chatTemplate: template, model: { maxModelLen: 1_000_000 }, ...options })
  return { fake, server: await startServer({ host: "127.0.0.1", port: 0, log: silent }, fake.engine) }
}

function openRequest(port: number, path: string, body: object): Promise<Socket> {
  const text = JSON.stringify(body)
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1", () => {
      const headers = `Host: localhost\r\nContent-Type: application/json\r\nContent-Length: ${text.length}`
      socket.write(`POST ${path} HTTP/1.1\r\n${headers}\r\n\r\n${text}`)
      resolve(socket)
    })
    socket.on("error", reject)
  })
}

const ENDS: readonly [string, (socket: Socket) => void][] = [
  ["reset", (socket) => socket.resetAndDestroy()],
  ["closed", (socket) => socket.end()],
]
const REQUESTS: readonly [string, string, object][] = [
  ["completion", "/v1/completions", { prompt: "hi" }],
  ["completions of several prompts", "/v1/completions", { prompt: ["hi", "ho"], n: 2 }],
  ["chat", "/v1/chat/completions", { messages: [{ role: "user", content: "hi" }] }],
]

describe("a client that goes away frees its request", () => {
  let stuck: Served
  let running: Served
  beforeAll(async () => {
    stuck = await serve({ stepMs: null, maxNumSeqs: 1 })
    running = await serve({ stepMs: 1 })
  })
  afterAll(() => Promise.all([stuck.server.stop(), running.server.stop()]))

  for (const [how, end] of ENDS) {
    for (const [what, path, fields] of REQUESTS) {
      for (const stream of [false, true]) {
        const body = { ...fields, stream, max_tokens: 500_000 }
        const name = `${what}, ${stream ? "streamed" : "whole"}, connection ${how}`

        test(`queued: ${name}`, async () => {
          const socket = await openRequest(stuck.server.port, path, body)
          await until(() => stuck.fake.numLive() > 0, "the request to arrive")
          end(socket)
          await until(() => stuck.fake.numLive() === 0, "the abort")
          expect(stuck.fake.engine.numUnfinished()).toBe(0)
        })

        test(`decoding: ${name}`, async () => {
          const socket = await openRequest(running.server.port, path, body)
          if (stream) await new Promise((resolve) => socket.once("data", resolve))
          else await until(() => running.fake.numLive() > 0, "the request to arrive")
          await Bun.sleep(5)
          socket.resume()
          end(socket)
          await until(() => running.fake.numLive() === 0, "the abort")
          expect(running.fake.engine.numUnfinished()).toBe(0)
        })
      }
    }
  }

  test("one of two clients on the same server; the other gets its whole answer", async () => {
    const { fake, server } = await serve({ reply: "Hello<|eos|>", stepMs: 2 })
    const leaving = await openRequest(server.port, "/v1/completions", {
      prompt: "x",
      max_tokens: 500_000,
      ignore_eos: true,
    })
    await until(() => fake.numLive() === 1, "the first request")
    const staying = fetch(`${server.url}/v1/completions`, {
      method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ prompt: "y" }),
    })
    leaving.resetAndDestroy()
    const answer = (await (await staying).json()) as { choices: { text: string }[] }
    expect(answer.choices[0]!.text).toBe("Hello")
    await until(() => fake.numLive() === 0, "the abort")
    expect(fake.numAborted()).toBe(1)
    await server.stop()
  })

  test("behind a path prefix too", async () => {
    const fake = makeFakeEngine({ reply: "a", stepMs: null })
    const server = await startServer({ host: "127.0.0.1", port: 0, log: silent, rootPath: "/llm" }, fake.engine)
    for (const stream of [false, true]) {
      const socket = await openRequest(server.port, "/llm/v1/completions", { prompt: "hi", stream })
      await until(() => fake.numLive() === 1, "the request to arrive")
      socket.resetAndDestroy()
      await until(() => fake.numLive() === 0, "the abort")
    }
    expect((await fetch(`${server.url}/llm/health`)).status).toBe(200)
    expect((await fetch(`${server.url}/health`)).status).toBe(200)
    await server.stop()
  })
})

test("a server that stops tells its clients where their answers ended", async () => {
  const { fake, server } = await serve({ stepMs: 5 })
  const ask = async (stream: boolean): Promise<string> => {
    const headers = { "content-type": "application/json" }
    const body = JSON.stringify({ prompt: "hi", stream, max_tokens: 500_000 })
    return (await fetch(`${server.url}/v1/completions`, { method: "POST", headers, body })).text()
  }
  const answers = [ask(false), ask(true)]
  await until(() => fake.numLive() === 2, "both requests")
  await Bun.sleep(30)
  await fake.engine.shutdown(0)
  await server.stop()
  const [whole, streamed] = await Promise.all(answers)
  expect(JSON.parse(whole!).choices[0].finish_reason).toBe("abort")
  expect(streamed).toContain('"finish_reason":"abort"')
  expect(streamed).toEndWith("data: [DONE]\n\n")
})

test("a stream that waits is pinged, from before its first event on", async () => {
  const fake = makeFakeEngine({ reply: "Hello<|eos|>", stepMs: null })
  const server = await startServer({ host: "127.0.0.1", port: 0, log: silent, sseKeepAliveMs: 20 }, fake.engine)
  const response = await fetch(`${server.url}/v1/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ prompt: "hi", stream: true }),
  })
  let text = ""
  for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
    text += chunk
    if (text.match(/keep-alive/g)?.length === 3) while (fake.numLive() > 0) fake.core.step()
  }
  expect(text).toMatch(/^(: keep-alive\n\n){3,}data: \{[^]*\[DONE\]\n\n$/)
  await server.stop()
})

test("a resumable stream outlives its connection, and another goes on with it", async () => {
  const { fake, server } = await serve({ reply: "a b c d e f g h i j<|eos|>", stepMs: 20 })
  const body = { prompt: "hi", stream: true, max_tokens: 100, stream_options: { resumable: true } }
  const socket = await openRequest(server.port, "/v1/completions", body)
  let text = ""
  socket.on("data", (data) => (text += String(data)))
  await until(() => text.match(/^id: /gm)?.length === 3, "three events")
  socket.resetAndDestroy()
  const ids = [...text.matchAll(/^id: (.*)$/gm)].map(([, id]) => id!)
  await Bun.sleep(30)
  expect(fake.numLive()).toBe(1)
  const headers = { "content-type": "application/json", "last-event-id": ids[1]! }
  const rest = await fetch(`${server.url}/v1/completions`, { method: "POST", headers, body: JSON.stringify(body) })
  const textOf = (events: string) => [...events.matchAll(/"text":"(.*?)"/g)].map(([, part]) => part).join("")
  const seen = text.slice(0, text.indexOf(`id: ${ids[2]}`))
  expect(textOf(seen) + textOf(await rest.text())).toBe("a b c d e f g h i j")
  expect(fake.numAborted()).toBe(0)
  await server.stop()
})

test("a slow reader holds the stream back instead of filling the memory", async () => {
  const { fake, server } = await serve({ stepMs: 0, tokensPerStep: 64 })
  const body = { prompt: "hi", stream: true, max_tokens: 900_000, logprobs: 5 }
  const socket = await openRequest(server.port, "/v1/completions", body)
  socket.pause()
  await until(() => fake.numLive() === 1, "the request to arrive")
  // At first buffers fill and the heap grows; in the end nothing may be added any more. A stream that nothing holds back
  // adds more in every window.
  const growth: number[] = []
  for (let window = 0; window < 60; window++) {
    const before = process.memoryUsage().rss
    await Bun.sleep(500)
    growth.push((process.memoryUsage().rss - before) / 2 ** 20)
    if (growth.at(-1)! < 4) break
  }
  expect(growth.at(-1)!, `MiB by half second: ${growth.map(Math.round).join(" ")}`).toBeLessThan(4)
  expect(fake.numLive()).toBe(1)
  socket.resetAndDestroy()
  await until(() => fake.numLive() === 0, "the abort")
  await server.stop()
})

test("requests that are quiet for longer than Bun's ten seconds survive", async () => {
  const { fake, server } = await serve({ reply: "Hello<|eos|>", stepMs: null })
  const ask = async (stream: boolean): Promise<string> => {
    const headers = { "content-type": "application/json" }
    const body = JSON.stringify({ prompt: "hi", stream })
    return (await fetch(`${server.url}/v1/completions`, { method: "POST", headers, body })).text()
  }
  const answers = [ask(false), ask(true)]
  await until(() => fake.numLive() === 2, "both requests")
  await Bun.sleep(12_000)
  while (fake.numLive() > 0) fake.core.step()
  const [whole, streamed] = await Promise.all(answers)
  expect(JSON.parse(whole!).choices[0].text).toBe("Hello")
  expect(streamed).toEndWith("data: [DONE]\n\n")
  await server.stop()
}, 20_000)
