import { describe, expect, test } from "bun:test"
import { makeLog } from "../../../src/base/log.ts"
import { makeApi, until } from "./harness.ts"
import type { ApiSetup } from "./harness.ts"

const COMPLETIONS = "/v1/completions"

/** An application and the lines it writes, parsed. */
function logged({ api = {}, ...setup }: ApiSetup = {}) {
  const lines: Record<string, unknown>[] = []
  const log = makeLog({ json: true, write: (line) => lines.push(JSON.parse(line)) })
  return { ...makeApi({ ...setup, api: { log, ...api } }), lines }
}

describe("a request that makes the engine work", () => {
  test("is one line with its counts and times, the client's id in it", async () => {
    let now = 100
    const api = logged({ stepMs: null, now: () => now, reply: "abc<|eos|>" })
    const answer = api.post(COMPLETIONS, { prompt: "hello" }, { "x-request-id": "mine" })
    await until(() => api.fake.numLive() === 1, "the request")
    for (const time of [101, 101.5, 102, 103]) {
      now = time
      api.fake.core.step()
    }
    expect((await answer).status).toBe(200)
    expect(api.lines).toEqual([{
      time: expect.any(String), level: "info", message: "answered", method: "POST", path: COMPLETIONS,
      requestId: "mine", id: "cmpl-mine", finish: "stop", promptTokens: 6, cachedTokens: 0, outputTokens: 4, ms: 3000,
      queueMs: 1000, prefillMs: 0, decodeMs: 2000, firstTokenMs: 1000, tokensPerSecond: 2,
    }])
  })

  test("streamed, is told when the stream has ended", async () => {
    const api = logged({ stepMs: null, reply: "a<|eos|>" })
    const stream = api.post(COMPLETIONS, { prompt: "hi", stream: true })
    await until(() => api.fake.numLive() === 1, "the request")
    api.fake.core.step()
    await Bun.sleep(5)
    expect(api.lines).toEqual([])
    api.fake.core.step()
    await stream
    expect(api.lines).toEqual([expect.objectContaining({ finish: "stop", outputTokens: 2 })])
  })

  test("of several prompts and choices is one line still, each prompt counted once", async () => {
    const api = logged({ reply: "ab<|eos|>" })
    await api.post(COMPLETIONS, { prompt: ["hello", "you"], n: 2 })
    expect(api.lines).toEqual([expect.objectContaining({ choices: 4, promptTokens: 10, outputTokens: 12 })])
  })

  test("that finds fewer choices than it was asked for is a line too", async () => {
    const api = logged({ reply: "Hello" })
    const fields = { max_tokens: 1, n: 4, use_beam_search: true, allowed_token_ids: [72, 73] }
    const { json } = await api.post(COMPLETIONS, { prompt: "hi", ...fields })
    expect(json.choices).toHaveLength(2)
    expect(api.lines.filter(({ message }) => message === "answered")).toEqual([
      expect.objectContaining({ choices: 2, finish: "length", outputTokens: 2 }),
    ])
  })

  test("whose client goes away is told as aborted, and only once", async () => {
    const api = logged({ stepMs: null })
    const abort = new AbortController()
    const request = new Request(`http://localhost${COMPLETIONS}`, {
      method: "POST", headers: { "content-type": "application/json" }, body: '{"prompt": "hi"}', signal: abort.signal,
    })
    const answer = api.app.handle(request)
    await until(() => api.fake.numLive() === 1, "the request")
    abort.abort()
    await answer
    expect(api.lines).toEqual([expect.objectContaining({ finish: "abort", outputTokens: 0, prefillMs: null })])
  })

  test("that the engine does not survive is told as an error", async () => {
    const api = logged({ stepMs: null })
    const answer = api.post(COMPLETIONS, { prompt: "hi" })
    await until(() => api.fake.numLive() === 1, "the request")
    api.fake.core.die("broken")
    expect((await answer).status).toBe(500)
    expect(api.lines.filter(({ message }) => message === "answered")).toEqual([
      expect.objectContaining({ finish: "error" }),
    ])
  })
})

describe("other requests", () => {
  test("are told with their status, refusals too", async () => {
    const api = logged()
    await api.send("GET", "/v1/models", undefined, { "x-request-id": "a b" })
    await api.post(COMPLETIONS, { prompt: "" })
    await api.send("GET", "/nowhere")
    const told = api.lines.map(({ method, path, status, requestId }) => [method, path, status, requestId])
    expect(told).toEqual([
      ["GET", "/v1/models", 200, "a b"], ["POST", COMPLETIONS, 400, undefined], ["GET", "/nowhere", 404, undefined],
    ])
  })

  test("of probes are never told, nor those the operator left out, nor any with the log off", async () => {
    const api = logged({ api: { quietPaths: ["/v1/models"] } })
    for (const path of ["/health", "/metrics", "/ping", "/v1/models"]) await api.send("GET", path)
    expect(api.lines).toEqual([])
    await api.send("GET", "/version")
    expect(api.lines).toHaveLength(1)
    const silent = logged({ api: { accessLog: false } })
    await silent.post(COMPLETIONS, { prompt: "hi" })
    await silent.send("GET", "/version")
    expect(silent.lines).toEqual([])
  })
})
