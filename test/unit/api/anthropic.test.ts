import { describe, expect, test } from "bun:test"
import { Value } from "@sinclair/typebox/value"
import { CountTokensResponse, MessageEvent, MessageObject } from "../../../src/api/schema/anthropic.ts"
import { makeApi, until } from "./harness.ts"
import type { Answer, Api, Json } from "./harness.ts"

const PATH = "/v1/messages"
const WHOLE = "Hello there<|eos|>"
const hi = [{ role: "user", content: "hi" }]
const tool = { name: "add", description: "Adds.", input_schema: { type: "object" } }

function events(answer: Answer): Json[] {
  return answer.text.split("\n").filter((line) => line.startsWith("data: ")).map((line) => JSON.parse(line.slice(6)))
}

function lastPrompt({ fake }: Api): string {
  return fake.tokenizer.decode(fake.core.added.at(-1)!.promptTokenIds)
}

function turn(role: string, text: string): string {
  return `<|im_start|>${role}\n${text}<|im_end|>\n`
}

const GENERATE = "<|im_start|>assistant\n"

async function prompt(body: object): Promise<string> {
  const api = makeApi({ reply: WHOLE })
  const { status, text } = await api.post(PATH, { max_tokens: 1, messages: hi, ...body })
  expect(status, text).toBe(200)
  return lastPrompt(api)
}

describe("a message", () => {
  test("has every field, and fits its schema", async () => {
    const { status, json } = await makeApi({ reply: WHOLE }).post(PATH, { model: "fake", max_tokens: 50, messages: hi })
    expect(status).toBe(200)
    expect(json).toEqual({
      id: expect.stringMatching(/^msg_/), type: "message", role: "assistant", model: "fake",
      content: [{ type: "text", text: "Hello there" }], stop_reason: "end_turn", stop_sequence: null,
      usage: { input_tokens: 21, output_tokens: 12, cache_creation_input_tokens: 0, cache_read_input_tokens: 0 },
    })
    expect([...Value.Errors(MessageObject, json)]).toEqual([])
  })

  test("says why it ended", async () => {
    const api = makeApi({ reply: WHOLE })
    const short = await api.post(PATH, { max_tokens: 3, messages: hi })
    expect(short.json).toMatchObject({ stop_reason: "max_tokens", stop_sequence: null, content: [{ text: "Hel" }] })
    const stopped = await api.post(PATH, { max_tokens: 30, messages: hi, stop_sequences: ["zz", " th"] })
    expect(stopped.json)
      .toMatchObject({ stop_reason: "stop_sequence", stop_sequence: " th", content: [{ text: "Hello" }] })
  })

  test("passes its parameters on", async () => {
    const api = makeApi({ reply: WHOLE })
    const body = { max_tokens: 7, temperature: 0.5, top_k: 4, top_p: 0.9, priority: 3, metadata: { user_id: "u" } }
    await api.post(PATH, { messages: hi, ...body })
    expect(api.fake.core.added[0])
      .toMatchObject({ priority: 3, sampling: { maxTokens: 7, temperature: 0.5, topK: 4, topP: 0.9 } })
  })
})

describe("the conversation", () => {
  test("begins with the system prompt, as text or blocks", async () => {
    const text = turn("system", "S") + turn("user", "hi") + GENERATE
    expect(await prompt({ system: "S" })).toBe(text)
    const cache_control = { type: "ephemeral" }
    expect(await prompt({ system: [{ type: "text", text: "S", cache_control }] })).toBe(text)
    expect(await prompt({ system: "" })).toBe(turn("user", "hi") + GENERATE)
  })

  test("has blocks of text, and documents that are text", async () => {
    const source = { type: "text", media_type: "text/plain", data: "D" }
    const content = [{ type: "text", text: "a" }, { type: "document", source }]
    expect(await prompt({ messages: [{ role: "user", content }] })).toBe(turn("user", "a\nD") + GENERATE)
  })

  test("has calls, results and thoughts, with the tools", async () => {
    const template =
      "{% for m in messages %}({{ m.role }}{% if m.reasoning %} {{ m.reasoning }}{% endif %}" +
      "{% for c in m.tool_calls or [] %} {{ c.id }}={{ c.function.name }}:{{ c.function.arguments.a }}{% endfor %}" +
      "{% if m.tool_call_id %} {{ m.tool_call_id }}{% endif %} {{ m.content }}){% endfor %}" +
      "{% for t in tools or [] %}[{{ t.function.name }} {{ t.function.description }}]{% endfor %}"
    const chat_template_kwargs = { chat_template: template }
    const api = makeApi({ reply: WHOLE, api: { trustRequestChatTemplate: true, toolParser: "hermes" } })
    const thinking = { type: "thinking", thinking: "hm", signature: "x" }
    const messages = [
      { role: "user", content: "q" },
      { role: "assistant", content: [thinking, { type: "tool_use", id: "t1", name: "add", input: { a: 1 } }] },
      { role: "user", content: [
        { type: "tool_result", tool_use_id: "t1", content: [{ type: "text", text: "two" }] },
        { type: "text", text: "and?" },
      ] },
    ]
    const body = { max_tokens: 1, messages, tools: [tool], tool_choice: { type: "auto" }, chat_template_kwargs }
    expect((await api.post(PATH, body)).status).toBe(200)
    expect(lastPrompt(api)).toBe("(user q)(assistant hm t1=add:1 )(tool t1 two)(user and?)[add Adds.]")
  })

  test("that ends with the assistant is gone on with", async () => {
    const messages = [...hi, { role: "assistant", content: "The answer is" }]
    expect(await prompt({ messages })).toBe(turn("user", "hi") + "<|im_start|>assistant\nThe answer is")
  })

  test("tells the template what to think of thinking", async () => {
    expect(await prompt({ thinking: { type: "disabled" } })).toContain("[thinking off]")
    expect(await prompt({ output_config: { effort: "low" } })).toContain("[thinking on]")
    expect(await prompt({ thinking: { type: "adaptive" } })).not.toContain("[thinking")
  })
})

describe("a stream", () => {
  test("has Anthropic's events in order, each as its schema says", async () => {
    const api = makeApi({ reply: WHOLE, tokensPerStep: 6 })
    const answer = await api.post(PATH, { max_tokens: 50, messages: hi, stream: true })
    const all = events(answer)
    expect(all.map(({ type }) => type)).toEqual([
      "message_start", "content_block_start", "content_block_delta", "content_block_delta", "content_block_stop",
      "message_delta", "message_stop",
    ])
    for (const event of all) expect([...Value.Errors(MessageEvent, event)], event.type).toEqual([])
    expect(all[0].message)
      .toMatchObject({ content: [], stop_reason: null, usage: { input_tokens: 21, output_tokens: 0 } })
    expect(all[5]).toEqual({
      type: "message_delta", delta: { stop_reason: "end_turn", stop_sequence: null },
      usage: { input_tokens: 21, output_tokens: 12, cache_creation_input_tokens: 0, cache_read_input_tokens: 0 },
    })
    expect(answer.text).toStartWith("event: message_start\ndata: {")
    expect(answer.text).not.toContain("[DONE]")
    expect(all.filter(({ delta }) => delta?.text).map(({ delta }) => delta.text).join("")).toBe("Hello there")
  })

  test("pings while it waits, and says when it fails", async () => {
    const api = makeApi({ stepMs: null, api: { sseKeepAliveMs: 10 } })
    const streaming = api.post(PATH, { max_tokens: 50, messages: hi, stream: true })
    await until(() => api.fake.numLive() === 1, "the request")
    await Bun.sleep(40)
    api.fake.core.step()
    api.fake.core.die("broken")
    const all = events(await streaming)
    expect(all[0]).toEqual({ type: "ping" })
    expect(all.at(-1)).toEqual({ type: "error", error: { type: "api_error", message: expect.any(String) } })
  })
})

describe("refusals are in Anthropic's form, and name the field", () => {
  const api = makeApi({ reply: WHOLE })
  const image = { type: "image", source: { type: "base64", media_type: "image/png", data: "AA" } }
  const result = { type: "tool_result", tool_use_id: "x" }
  const call = { type: "tool_use", name: "f" }
  const cases: [string, object, RegExp][] = [
    ["max_tokens missing", { max_tokens: undefined }, /body.max_tokens: Field required/],
    ["max_tokens of 0", { max_tokens: 0 }, /body.max_tokens/],
    ["an image", { messages: [{ role: "user", content: [image] }] }, /messages.0.content.0 is of type "image"/],
    ["a result of the assistant's", { messages: [{ role: "assistant", content: [result] }] }, /messages.0.content.0/],
    ["a call without an id", { messages: [{ role: "assistant", content: [call] }] }, /`id`/],
    ["a result of nothing known", { messages: [{ role: "user", content: [{ ...result, content: [{}] }] }] },
      /body.messages.0.content/],
    ["a text without one", { messages: [{ role: "user", content: [{ type: "text" }] }] }, /messages.0.content.0/],
    ["another role", { messages: [{ role: "tool", content: "x" }] }, /body.messages.0.role/],
    ["no messages", { messages: [] }, /messages/],
    ["another choice", { tool_choice: { type: "some" } }, /tool_choice.type/],
    ["thinking", { thinking: { type: "enabled", budget_tokens: 1024 } }, /thinking/],
    ["a format", { output_config: { format: { type: "json_schema" } } }, /output_config.format/],
    ["another effort", { output_config: { effort: "huge" } }, /output_config.effort/],
    ["too many stop sequences", { stop_sequences: Array(129).fill("a") }, /body.stop_sequences/],
    ["temperature", { temperature: 3 }, /temperature/],
    ["MCP servers", { mcp_servers: [{}] }, /mcp_servers/],
    ["arguments for processors that are not there", { vllm_xargs: { a: 1 } }, /vllm_xargs/],
    ["a field that is supported nowhere", { watermarking: true }, /watermarking is not supported yet/],
    ["a chat's penalty", { presence_penalty: 1 }, /presence_penalty is not a field of this endpoint/],
    ["a chat's seed", { seed: 0 }, /seed is not a field/],
    ["a chat's default reversed", { skip_special_tokens: false }, /skip_special_tokens is not a field/],
    ["a chat's limit", { max_completion_tokens: 5 }, /max_completion_tokens is not a field/],
    ["a chat's choices", { n: 2 }, /n is not a field/],
    ["a chat's format", { response_format: { type: "json_object" } }, /response_format is not a field/],
    ["a chat's documents", { documents: [{}] }, /documents is not a field/],
  ]
  test.each(cases)("%s", async (_, body, says) => {
    const { status, json } = await api.post(PATH, { max_tokens: 5, messages: hi, ...body })
    expect(status).toBe(400)
    expect(json)
      .toEqual({ type: "error", error: { type: "invalid_request_error", message: expect.stringMatching(says) } })
  })

  test.each([{ type: "create" }, { type: "continue", previous_message_id: "msg_1" }])(
    "a thread, with the code after which clients send the whole conversation: %j",
    async (thread) => {
      const { status, json } = await api.post(PATH, { max_tokens: 5, messages: hi, thread })
      expect(status).toBe(400)
      expect(json.error).toMatchObject({
        type: "invalid_request_error", message: expect.stringMatching(/^thread is not supported/),
        details: { error_code: "thread_unsupported_request" },
      })
    },
  )

  test("other endpoints' fields that change nothing pass, and those nobody knows", async () => {
    const body = {
      user: "u", n: 1, echo: false, seed: null, top_logprobs: 0, request_id: "r", wibble: 5, presence_penalty: 0,
      logit_bias: {}, stop: [], skip_special_tokens: true,
    }
    expect((await api.post(PATH, { max_tokens: 5, messages: hi, ...body })).status).toBe(200)
  })

  test("arguments for logits processors are passed on where one is loaded", async () => {
    const processors = makeApi({ reply: WHOLE, model: { logitsProcessors: ["p"] } })
    const { status } = await processors.post(PATH, { max_tokens: 5, messages: hi, vllm_xargs: { a: 1 } })
    expect([status, processors.fake.core.added[0]!.sampling.extraArgs]).toEqual([200, { a: 1 }])
  })
})

describe("every refusal is in Anthropic's form", () => {
  const api = makeApi({ reply: WHOLE })
  const body = { max_tokens: 5, messages: hi }
  const paths = [PATH, `${PATH}/count_tokens`]
  const JSON_TYPE = { "content-type": "application/json" }
  function expectForm(answer: Answer, status: number, type: string): void {
    expect([answer.status, answer.json]).toEqual([
      status, { type: "error", error: { type, message: expect.stringMatching(/./) } },
    ])
  }

  test("of a model that is not there, and of a body that is too large or no JSON", async () => {
    const small = makeApi({ api: { maxBodyBytes: 10 } })
    for (const path of paths) {
      expectForm(await api.post(path, { ...body, model: "nope" }), 404, "not_found_error")
      expectForm(await small.post(path, body), 413, "request_too_large")
      for (const text of ["{", "[]", ""]) {
        expectForm(await api.send("POST", path, text, JSON_TYPE), 400, "invalid_request_error")
      }
      expectForm(await api.send("POST", path, "{}", { "content-type": "text/plain" }), 400, "invalid_request_error")
    }
  })

  test("of a wrong key or none", async () => {
    const guarded = makeApi({ api: { apiKeys: ["key"] } })
    for (const path of [...paths, `${PATH}/batches`]) {
      for (const headers of [{}, { "x-api-key": "yek" }, { authorization: "Bearer k" }]) {
        const answer = await guarded.post(path, body, headers as Record<string, string>)
        expectForm(answer, 401, "authentication_error")
        expect(answer.headers.get("www-authenticate")).toBe("Bearer")
      }
    }
    expect((await guarded.post(PATH, body, { "x-api-key": "key" })).status).toBe(200)
    expect((await guarded.post("/v1/chat/completions", body)).json).toEqual({ error: "Unauthorized" })
  })

  test("of another method or path", async () => {
    const got = await api.send("GET", PATH)
    expectForm(got, 405, "invalid_request_error")
    expect(got.headers.get("allow")).toBe("POST")
    expectForm(await api.post(`${PATH}/batches`, {}), 404, "not_found_error")
    expect((await api.post("/v1/messagesx", {})).json).toEqual({ detail: "Not Found" })
  })

  test("of too many requests, and while the server shuts down", async () => {
    const busy = makeApi({ stepMs: null, limits: { maxRequestsPerKey: 1 } })
    const first = busy.post(PATH, body)
    await until(() => busy.fake.numLive() === 1, "the request")
    const second = await busy.post(PATH, { ...body, stream: true })
    expectForm(second, 429, "rate_limit_error")
    expect(Number(second.headers.get("retry-after"))).toBeGreaterThan(0)
    void busy.fake.engine.shutdown(10_000)
    expectForm(await busy.post(PATH, body), 503, "overloaded_error")
    for (let i = 0; i < 5; i++) busy.fake.core.step()
    expect((await first).status).toBe(200)
  })
})

describe("count_tokens", () => {
  test("counts what the message would be made of", async () => {
    const api = makeApi({ reply: WHOLE, api: { toolParser: "hermes" } })
    const body = { messages: hi, system: "S", tools: [tool] }
    const { json } = await api.post(`${PATH}/count_tokens`, body)
    const { usage } = (await api.post(PATH, { ...body, max_tokens: 1 })).json
    expect(json).toEqual({
      input_tokens: usage.input_tokens, context_management: { original_input_tokens: usage.input_tokens },
    })
    expect([...Value.Errors(CountTokensResponse, json)]).toEqual([])
  })

  test("refuses what would change the prompt, and takes what a message has besides", async () => {
    const api = makeApi({ reply: WHOLE })
    const ask = (body: object) => api.post(`${PATH}/count_tokens`, { messages: hi, ...body })
    expect((await ask({ max_tokens: 5, temperature: 1, stream: true, vllm_xargs: { a: 1 } })).status).toBe(200)
    for (const body of [{ documents: [{}] }, { chat_template: "x" }, { add_special_tokens: true }]) {
      const { status, json } = await ask(body)
      expect([status, json.error.message]).toEqual([400, expect.stringContaining(Object.keys(body)[0]!)])
    }
  })
})
