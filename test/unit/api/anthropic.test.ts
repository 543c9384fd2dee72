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
      content: [{ type: "text", text: "Hello there", citations: null }], stop_reason: "end_turn", stop_sequence: null,
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
    const api = makeApi({ reply: WHOLE, api: { trustRequestChatTemplate: true } })
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
    ["a built-in tool", { tools: [{ type: "bash_20250124", name: "bash" }] }, /tools.0 is of type "bash_20250124"/],
    ["a forced call", { tools: [tool], tool_choice: { type: "any" } }, /tool_choice/],
    ["a named call", { tools: [tool], tool_choice: { type: "tool", name: "add" } }, /tool_choice/],
    ["another choice", { tool_choice: { type: "some" } }, /tool_choice.type/],
    ["thinking", { thinking: { type: "enabled", budget_tokens: 1024 } }, /thinking/],
    ["a format", { output_config: { format: { type: "json_schema" } } }, /output_config.format/],
    ["another effort", { output_config: { effort: "huge" } }, /output_config.effort/],
    ["too many stop sequences", { stop_sequences: ["a", "b", "c", "d", "e"] }, /body.stop_sequences/],
    ["temperature", { temperature: 3 }, /temperature/],
    ["MCP servers", { mcp_servers: [{}] }, /mcp_servers/],
  ]
  test.each(cases)("%s", async (_, body, says) => {
    const { status, json } = await api.post(PATH, { max_tokens: 5, messages: hi, ...body })
    expect(status).toBe(400)
    expect(json)
      .toEqual({ type: "error", error: { type: "invalid_request_error", message: expect.stringMatching(says) } })
  })

  test("with a type for each status", async () => {
    const unknown = await api.post(PATH, { max_tokens: 5, messages: hi, model: "nope" })
    expect([unknown.status, unknown.json.error.type]).toEqual([404, "not_found_error"])
    const small = makeApi({ api: { maxBodyBytes: 10 } })
    const large = await small.post(PATH, { max_tokens: 5, messages: hi })
    expect([large.status, large.json.error.type]).toEqual([413, "request_too_large"])
  })
})

describe("count_tokens", () => {
  test("counts what the message would be made of", async () => {
    const api = makeApi({ reply: WHOLE })
    const body = { messages: hi, system: "S", tools: [tool] }
    const { json } = await api.post(`${PATH}/count_tokens`, body)
    const { usage } = (await api.post(PATH, { ...body, max_tokens: 1 })).json
    expect(json).toEqual({
      input_tokens: usage.input_tokens, context_management: { original_input_tokens: usage.input_tokens },
    })
    expect([...Value.Errors(CountTokensResponse, json)]).toEqual([])
  })

  test("refuses as messages does", async () => {
    const { status, json } = await makeApi().post(`${PATH}/count_tokens`, { messages: hi, model: "nope" })
    expect([status, json.error.type]).toEqual([404, "not_found_error"])
  })
})
