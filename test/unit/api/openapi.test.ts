/**
 * /docs/json is true: it tells of every route, and every answer is one that it tells of, in status, content type and
 * each field. The examples below are a good request and refusals for every operation.
 */
import { describe, expect, test } from "bun:test"
import { operationsOf, untold } from "../../tools/openapi.ts"
import type { Operation } from "../../tools/openapi.ts"
import { makeApi, until } from "./harness.ts"
import type { Api, Json } from "./harness.ts"

const document: Json = (await makeApi().send("GET", "/docs/json")).json
const operations = operationsOf(document)
const byName = new Map(operations.map((operation) => [`${operation.method} ${operation.path}`, operation]))

function operationAt(name: string): Operation {
  const operation = byName.get(name)
  if (operation === undefined) throw new Error(`${name} is not in the document`)
  return operation
}

/** `path` stands in for the operation's own where that has parameters. */
type Example = readonly [name: string, status: number, body?: unknown, path?: string]

function ask(api: Api, [name, , body, path]: Example, headers: Record<string, string> = {}) {
  const { method, path: own } = operationAt(name)
  const at = path ?? own.replaceAll(/\{\w+\}/g, "fake")
  return body === undefined ? api.send(method, at, undefined, headers) : api.post(at, body, headers)
}

async function expectTold(api: Api, example: Example): Promise<void> {
  const answer = await ask(api, example)
  expect([answer.status, answer.text.slice(0, answer.status === example[1] ? 0 : 300)]).toEqual([example[1], ""])
  expect(untold(operationAt(example[0]), answer)).toEqual([])
}

const COMPLETIONS = "POST /v1/completions"
const CHAT = "POST /v1/chat/completions"
const BATCH = "POST /v1/chat/completions/batch"
const INVOCATIONS = "POST /invocations"
const RESPONSES = "POST /v1/responses"
const INPUT_ITEMS = "GET /v1/responses/{response_id}/input_items"
const MESSAGES = "POST /v1/messages"

const messages = [{ role: "user", content: "hi" }]
const everything = {
  logprobs: 2, n: 2, temperature: 1, echo: true, return_token_ids: true, return_tokens_as_token_ids: true, seed: 1,
}
const everythingInChat = { ...everything, logprobs: true, top_logprobs: 2, return_prompt_text: true }
const stream = { stream: true, stream_options: { include_usage: true, continuous_usage_stats: true } }
const tools = [{ type: "function", function: { name: "f", parameters: {} } }]

const EXAMPLES: readonly Example[] = [
  [COMPLETIONS, 200, { prompt: "hi" }],
  [COMPLETIONS, 200, { prompt: ["hi", "ho"], ...everything }],
  [COMPLETIONS, 200, { prompt: [1, 2], prompt_logprobs: 1, return_metrics: true }],
  [COMPLETIONS, 200, { prompt: "hi", stream: true, return_metrics: true }],
  [COMPLETIONS, 200, { prompt: "hi", ...everything, ...stream }],
  [COMPLETIONS, 200, { prompt: "hi", stream: true, stream_options: { resumable: true } }],
  [COMPLETIONS, 200, { prompt: "hi", stop: "lo" }],
  [COMPLETIONS, 200, { prompt: "hi", use_beam_search: true, n: 2, logprobs: 1, max_tokens: 3 }],
  [COMPLETIONS, 400, { prompt: 5 }],
  [COMPLETIONS, 400, { prompt: "hi", best_of: 3, stream: true }],
  [COMPLETIONS, 404, { prompt: "hi", model: "nope" }],
  [CHAT, 200, { messages }],
  [CHAT, 200, { messages, tools, tool_choice: "auto" }],
  [CHAT, 200, { messages, ...everythingInChat, prompt_logprobs: 1 }],
  [CHAT, 200, { messages, return_metrics: true }],
  [CHAT, 200, { messages, ...everythingInChat, ...stream }],
  [CHAT, 200, { messages, ...stream, return_metrics: true }],
  [CHAT, 400, { messages: "hi" }],
  [CHAT, 400, { messages, top_logprobs: 2 }],
  [CHAT, 404, { messages, model: "nope" }],
  [BATCH, 200, { messages: [messages] }],
  [BATCH, 200, { messages: [messages, messages], logprobs: true, top_logprobs: 2, echo: true, return_token_ids: true }],
  [BATCH, 400, { messages }],
  [BATCH, 400, { messages: [messages], n: 2 }],
  [BATCH, 404, { messages: [messages], model: "nope" }],
  [INVOCATIONS, 200, { messages }],
  [INVOCATIONS, 200, { prompt: ["hi", "ho"], ...everything }],
  [INVOCATIONS, 200, { messages, ...everythingInChat, ...stream }],
  [INVOCATIONS, 200, { prompt: "hi", stream: true }],
  [INVOCATIONS, 400, { prompt: "hi", best_of: 3 }],
  [INVOCATIONS, 404, { messages, model: "nope" }],
  [RESPONSES, 200, { input: "hi" }],
  [RESPONSES, 200, { input: [{ role: "user", content: [{ type: "input_text", text: "hi" }] }], metadata: { a: "b" } }],
  [RESPONSES, 200, { input: "hi", include: ["message.output_text.logprobs"], top_logprobs: 2, return_metrics: true }],
  [RESPONSES, 200, { input: "hi", max_output_tokens: 2, tools: [{ type: "function", name: "f" }] }],
  [RESPONSES, 200, { input: "hi", stream: true, include: ["message.output_text.logprobs"] }],
  [RESPONSES, 200, { input: "hi", background: true }],
  [RESPONSES, 200, { input: "hi", background: true, stream: true }],
  [RESPONSES, 400, {}],
  [RESPONSES, 404, { input: "hi", previous_response_id: "resp_nope" }],
  ["POST /v1/responses/input_tokens", 200, { input: "hi", instructions: "Be brief." }],
  ["POST /v1/responses/input_tokens", 400, { tools: [{ type: "function" }], input: "hi" }],
  ["POST /v1/responses/input_tokens", 404, { input: "hi", previous_response_id: "resp_nope" }],
  ["POST /v1/responses/render", 200, { input: "hi", cache_salt: "a" }],
  ["POST /v1/responses/render", 400, {}],
  ["POST /v1/responses/render", 404, { input: "hi", model: "nope" }],
  ["GET /v1/responses/{response_id}", 404, undefined, "/v1/responses/resp_nope"],
  [INPUT_ITEMS, 404],
  ["GET /v1/responses/{response_id}", 404],
  ["DELETE /v1/responses/{response_id}", 404],
  ["POST /v1/responses/{response_id}/cancel", 404],
  [MESSAGES, 200, { messages, max_tokens: 5 }],
  [MESSAGES, 200, { messages, max_tokens: 5, system: "Be brief.", stop_sequences: ["lo"] }],
  [MESSAGES, 200, { messages, max_tokens: 5, stream: true }],
  [MESSAGES, 400, { messages }],
  [MESSAGES, 404, { messages, max_tokens: 5, model: "nope" }],
  ["POST /v1/messages/count_tokens", 200, { messages }],
  ["POST /v1/messages/count_tokens", 400, {}],
  ["POST /v1/messages/count_tokens", 404, { messages, model: "nope" }],
  ["POST /v1/messages/render", 200, { messages, max_tokens: 5 }],
  ["POST /v1/messages/render", 400, { messages }],
  ["POST /v1/messages/render", 404, { messages, max_tokens: 5, model: "nope" }],
  ["POST /v1/completions/render", 200, { prompt: "hi", seed: 5, logit_bias: { 1: 2 } }],
  ["POST /v1/completions/render", 200, { prompt: [[1, 2], [3]], cache_salt: "a" }],
  ["POST /v1/completions/render", 400, { prompt: {} }],
  ["POST /v1/completions/render", 404, { prompt: "hi", model: "nope" }],
  ["POST /v1/chat/completions/render", 200, { messages }],
  ["POST /v1/chat/completions/render", 400, {}],
  ["POST /v1/chat/completions/render", 404, { messages, model: "nope" }],
  ["POST /tokenize", 200, { prompt: "hi", return_token_strs: true }],
  ["POST /tokenize", 200, { messages }],
  ["POST /tokenize", 400, {}],
  ["POST /tokenize", 404, { prompt: "hi", model: "nope" }],
  ["POST /detokenize", 200, { tokens: [104, 105] }],
  ["POST /detokenize", 400, { tokens: [-1] }],
  ["POST /detokenize", 404, { tokens: [], model: "nope" }],
  ["GET /tokenizer_info", 200],
  ["GET /v1/models", 200],
  ["GET /v1/models/{model}", 200],
  ["GET /v1/models/{model}", 404, undefined, "/v1/models/no/such"],
  ["GET /v1/streams", 404],
  ["GET /health", 200],
  ["GET /ping", 200],
  ["POST /ping", 200],
  ["GET /ready", 200],
  ["GET /version", 200],
  ["GET /load", 200],
  ["GET /metrics", 200],
  ["GET /docs", 200],
  ["GET /docs/json", 200],
  ["GET /openapi.json", 200],
  ["GET /server_info", 200],
  ["GET /server_info", 200, undefined, "/server_info?config_format=json"],
  ["GET /server_info", 400, undefined, "/server_info?config_format=yaml"],
  ["POST /reset_prefix_cache", 200],
  ["POST /reset_prefix_cache", 400, undefined, "/reset_prefix_cache?reset_running_requests=perhaps"],
  ["POST /abort_requests", 200, {}],
  ["POST /abort_requests", 400, { request_ids: 5 }],
  ["POST /pause", 400, undefined, "/pause?mode=later"],
  ["POST /pause", 200],
  ["GET /is_paused", 200],
  ["POST /resume", 200],
  ["POST /sleep", 400, undefined, "/sleep?level=9"],
  ["POST /sleep", 200],
  ["POST /sleep", 409, undefined, "/sleep?level=2"],
  ["POST /pause", 409],
  ["POST /resume", 409],
  ["GET /is_sleeping", 200],
  ["POST /wake_up", 400, undefined, "/wake_up?tags=weights"],
  ["POST /wake_up", 200],
]

describe("the document", () => {
  test("has an example of every operation, and every route is in it", () => {
    expect(new Set(EXAMPLES.map(([name]) => name))).toEqual(new Set(byName.keys()))
  })

  test("is an OpenAPI document", () => {
    expect(document.openapi).toStartWith("3.1.")
    expect(document.info).toMatchObject({ title: expect.any(String), version: expect.any(String) })
    const ids = operations.map(({ operationId }) => operationId)
    expect(ids.filter((id, i) => !/^\w+$/.test(id) || ids.indexOf(id) !== i)).toEqual([])
    for (const { path, method, parameters, responses, summary, requestBody } of operations) {
      const inPath = parameters.filter((parameter) => parameter.in === "path")
      expect(inPath.map(({ name }) => `{${name}}`)).toEqual(path.match(/\{\w+\}/g) ?? [])
      expect(inPath.every(({ required }) => required === true)).toBe(true)
      expect(summary).not.toBe("")
      expect(Object.values(responses).filter(({ description }) => !description)).toEqual([])
      expect(method !== "GET" || requestBody === undefined).toBe(true)
    }
    const schemes = Object.keys(document.components.securitySchemes)
    for (const needed of document.security) expect(schemes).toEqual(expect.arrayContaining(Object.keys(needed)))
    // What a reference names is there: operationsOf() throws otherwise. Here: what is there is referred to.
    const unused = Object.keys(document.components.schemas)
      .filter((name) => !JSON.stringify(document).includes(`"#/components/schemas/${name}"`))
    expect(unused).toEqual([])
  })

  test("a route is served and told of, or neither", async () => {
    const api = makeApi({ api: { devMode: false, enableTokenizerInfo: false } })
    const told = operationsOf((await api.send("GET", "/docs/json")).json).map(({ path }) => path)
    for (const { method, path } of operations) {
      const { status, json } = await api.send(method, path.replaceAll(/\{\w+\}/g, "x"))
      expect([path, status === 404 && json?.detail === "Not Found"]).toEqual([path, !told.includes(path)])
    }
  })
})

/** A thought, a call and some text. */
const PARTS = "hm</think>\n\n<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": 1}}</tool_call> So.<|eos|>"
const IN_PARTS: readonly Example[] = [false, true].flatMap((stream) => [
  [CHAT, 200, { messages, tools, stream }],
  [CHAT, 200, { messages, tools, stream, logprobs: true, top_logprobs: 1, return_token_ids: true }],
  [CHAT, 200, { messages, tools, stream, ...(stream ? { stream_options: { include_usage: true } } : {}) }],
  [CHAT, 200, { messages, tools, stream, include_reasoning: false }],
  [RESPONSES, 200, { input: "hi", stream, tools: [{ type: "function", name: "f" }] }],
  [MESSAGES, 200, { messages, max_tokens: 200, stream, tools: [{ name: "f", input_schema: {} }] }],
])

describe("answers are as the document has them", () => {
  const api = makeApi({ api: { toolParser: "hermes" } })
  const parting = makeApi({ reply: PARTS, api: { toolParser: "hermes", reasoningParser: "qwen3" } })
  for (const [i, example] of IN_PARTS.entries())
    test(`${example[0]} in parts, ${i}`, () => expectTold(parting, example))
  for (const example of EXAMPLES) {
    const [name, status, body, path] = example
    const what = JSON.stringify(body ?? path ?? "").slice(0, 100)
    test(`${name} ${status} ${what}`, () => expectTold(api, example))
  }

  test("a stored response is read, streamed again, cancelled, deleted", async () => {
    const id: string = (await ask(api, [RESPONSES, 200, { input: "hi" }])).json.id
    const kept = `/v1/responses/${id}`
    await expectTold(api, ["GET /v1/responses/{response_id}", 200, undefined, kept])
    await expectTold(api, ["GET /v1/responses/{response_id}", 400, undefined, `${kept}?stream=true`])
    await expectTold(api, [INPUT_ITEMS, 200, undefined, `${kept}/input_items?limit=1`])
    await expectTold(api, [INPUT_ITEMS, 400, undefined, `${kept}/input_items?limit=0`])
    await expectTold(api, [INPUT_ITEMS, 404, undefined, `${kept}/input_items?after=nope`])
    await expectTold(api, ["POST /v1/responses/{response_id}/cancel", 400, undefined, `${kept}/cancel`])
    await expectTold(api, ["DELETE /v1/responses/{response_id}", 200, undefined, kept])
    const { text } = await ask(api, [RESPONSES, 200, { input: "hi", background: true, stream: true }])
    const again = `/v1/responses/${/resp_\w+/.exec(text)![0]}`
    await expectTold(api, ["GET /v1/responses/{response_id}", 200, undefined, `${again}?stream=true`])
  })

  test("a response in the background is cancelled", async () => {
    const slow = makeApi({ stepMs: null })
    const asked = await ask(slow, [RESPONSES, 200, { input: "hi", background: true }])
    expect(untold(operationAt(RESPONSES), asked)).toEqual([])
    const path = `/v1/responses/${asked.json.id}/cancel`
    await expectTold(slow, ["POST /v1/responses/{response_id}/cancel", 200, undefined, path])
  })

  test("a resumable stream is gone on with", async () => {
    const options = { stream: true, stream_options: { resumable: true } }
    const { text } = await ask(api, [CHAT, 200, { messages, ...options }])
    const id = /^id: (.*)$/m.exec(text)![1]
    await expectTold(api, ["GET /v1/streams", 200, undefined, `/v1/streams?last_event_id=${id}`])
  })

  test("streams that fail end with an error that is told of", async () => {
    for (const [name, body] of [
      [COMPLETIONS, { prompt: "hi" }], [CHAT, { messages }], [MESSAGES, { messages, max_tokens: 9 }],
      [RESPONSES, { input: "hi" }],
    ] as const) {
      const dying = makeApi({ stepMs: null })
      const answer = ask(dying, [name, 200, { ...body, stream: true }])
      await until(() => dying.fake.numLive() === 1, "the request")
      dying.fake.core.die("out of memory")
      const { text } = await answer
      expect(text).toContain("error")
      expect(untold(operationAt(name), await answer)).toEqual([])
    }
  })
})

describe("refusals that do not come from the body are as the document has them", () => {
  test("401 everywhere", async () => {
    const api = makeApi({ api: { apiKeys: ["key"], guardsEveryRoute: true } })
    for (const operation of operations) {
      const answer = await api.send(operation.method, operation.path.replaceAll(/\{\w+\}/g, "x"))
      expect([operation.path, answer.status, untold(operation, answer)]).toEqual([operation.path, 401, []])
    }
  })

  test("404 and 405 of what is not in it", async () => {
    const api = makeApi()
    expect((await api.post("/nowhere", {})).json).toEqual({ detail: "Not Found" })
    const { status, json, headers } = await api.send("GET", "/v1/completions")
    expect([status, json, headers.get("allow")]).toEqual([405, { detail: "Method Not Allowed" }, "POST"])
  })

  const withBody = operations.filter(({ requestBody }) => requestBody !== undefined)

  test("bodies that are too large, are no JSON, or are missing", async () => {
    const api = makeApi({ api: { maxBodyBytes: 50 } })
    for (const operation of withBody) {
      for (const [body, expected] of [[`"${"x".repeat(60)}"`, 413], ["{", 400], ["[]", 400], ["", 400]] as const) {
        const answer = await api.send("POST", operation.path, body, { "content-type": "application/json" })
        expect([answer.status, untold(operation, answer)]).toEqual([expected, []])
      }
      expect(untold(operation, await api.send("POST", operation.path, "{}", { "content-type": "text/plain" }))).toEqual([])
    }
  })

  const generating = [
    [COMPLETIONS, { prompt: "hi" }], [CHAT, { messages }], [RESPONSES, { input: "hi" }],
    [MESSAGES, { messages, max_tokens: 9 }], [BATCH, { messages: [messages] }], [INVOCATIONS, { messages }],
  ] as const

  test("429 of a key that asks too much", async () => {
    const api = makeApi({ stepMs: null, limits: { maxRequestsPerKey: 1 } })
    const first = ask(api, [COMPLETIONS, 200, { prompt: "hi" }])
    await until(() => api.fake.numLive() === 1, "the request")
    for (const [name, body] of generating) await expectTold(api, [name, 429, body])
    await api.post("/abort_requests", {})
    await first
  })

  test("503 of a server that shuts down, 500 of a dead engine", async () => {
    for (const [end, status] of [["shutdown", 503], ["die", 500]] as const) {
      const api = makeApi({ stepMs: null })
      void ask(api, [COMPLETIONS, 200, { prompt: "hi" }])
      await until(() => api.fake.numLive() === 1, "the request")
      if (end === "die") api.fake.core.die("out of memory")
      else void api.fake.engine.shutdown(60_000)
      await Bun.sleep(0)
      for (const [name, body] of generating) await expectTold(api, [name, status, body])
      await expectTold(api, ["GET /ready", 503])
      if (end === "die") await expectTold(api, ["GET /health", 503])
    }
  })
})
