import { describe, expect, test } from "bun:test"
import { ChatTemplates } from "../../../src/text/chat-templates.ts"
import { makeApi } from "./harness.ts"
import type { Json } from "./harness.ts"

const PATH = "/v1/chat/completions"
const api = makeApi({ reply: "Hello<|eos|>" })
const messages = [{ role: "user", content: "hi" }]

function lastPrompt(from = api): string {
  return from.fake.tokenizer.decode(from.fake.core.added.at(-1)!.promptTokenIds)
}

describe("whole answers", () => {
  test("have every field of the reference, nulls written", async () => {
    const { status, json } = await api.post(PATH, { messages })
    expect(status).toBe(200)
    expect(json).toEqual({
      id: expect.stringMatching(/^chatcmpl-[0-9a-f]{16}$/),
      object: "chat.completion",
      created: expect.any(Number),
      model: "fake",
      choices: [{
        index: 0,
        message: {
          role: "assistant", content: "Hello", refusal: null, annotations: null, audio: null, function_call: null,
          reasoning: null,
        },
        logprobs: null, finish_reason: "stop", stop_reason: null, token_ids: null, routed_experts: null,
      }],
      service_tier: null,
      system_fingerprint: expect.any(String),
      usage: {
        prompt_tokens: expect.any(Number), total_tokens: expect.any(Number), completion_tokens: 6,
        prompt_tokens_details: { cached_tokens: 0, created_cache_tokens: 0, multimodal_tokens: null },
        completion_tokens_details: null,
      },
      prompt_logprobs: null, prompt_token_ids: null, prompt_text: null, kv_transfer_params: null, ec_transfer_params: null,
      metrics: null,
    })
  })

  test("the prompt is the rendered template, without special tokens of the tokenizer's own", async () => {
    await api.post(PATH, { messages })
    expect(lastPrompt()).toBe("<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n")
  })

  test("text parts are joined by line breaks; a message may have no content", async () => {
    const parts = [{ type: "text", text: "a" }, { type: "input_text", text: "b" }, "c"]
    const odd = [{ role: "user", content: parts }, { role: "wizard" }, { role: "assistant", content: null }]
    await api.post(PATH, { messages: odd })
    expect(lastPrompt()).toBe(
      "<|im_start|>user\na\nb\nc<|im_end|>\n<|im_start|>wizard\n<|im_end|>\n" +
        "<|im_start|>assistant\n<|im_end|>\n<|im_start|>assistant\n",
    )
  })

  test("tools go into the template, whether or not they may be called", async () => {
    const tools = [{ type: "function", function: { name: "f", parameters: {} } }]
    const server = makeApi({ api: { toolParser: "hermes" } })
    for (const tool_choice of ["none", "auto", undefined, null]) {
      const { status } = await server.post(PATH, { messages, tools, tool_choice })
      expect(status).toBe(200)
      expect(lastPrompt(server)).toContain("[1 tools]")
    }
    const excluding = makeApi({ api: { excludeToolsWhenToolChoiceNone: true } })
    await excluding.post(PATH, { messages, tools, tool_choice: "none" })
    expect(lastPrompt(excluding)).not.toContain("tools]")
  })

  test("template variables: the request's win over the server's, effort decides about thinking", async () => {
    const server = makeApi({ api: { defaultChatTemplateKwargs: { enable_thinking: false } } })
    await server.post(PATH, { messages })
    expect(lastPrompt(server)).toContain("[thinking off]")
    await server.post(PATH, { messages, chat_template_kwargs: { enable_thinking: true } })
    expect(lastPrompt(server)).toContain("[thinking on]")
    await api.post(PATH, { messages, reasoning_effort: "none" })
    expect(lastPrompt()).toContain("[thinking off]")
    await api.post(PATH, { messages, reasoning_effort: "high" })
    expect(lastPrompt()).toContain("[thinking on]")
  })

  test("max_completion_tokens wins; without either the answer may fill the context", async () => {
    const both = await api.post(PATH, { messages, max_tokens: 4, max_completion_tokens: 2 })
    expect(both.json.usage.completion_tokens).toBe(2)
    await api.post(PATH, { messages })
    const { sampling, promptTokenIds } = api.fake.core.added.at(-1)!
    expect(sampling.maxTokens).toBe(256 - promptTokenIds.length)
  })

  test("log-probabilities: sampled token with bytes, then the best k", async () => {
    const { json } = await api.post(PATH, { messages, max_tokens: 1, logprobs: true, top_logprobs: 2 })
    expect(json.choices[0].logprobs).toEqual({
      content: [{
        token: "H", logprob: -0.5, bytes: [72],
        top_logprobs: [{ token: "H", logprob: -0.5, bytes: [72] }, { token: "I", logprob: -1.5, bytes: [73] }],
      }],
    })
    const alone = await api.post(PATH, { messages, max_tokens: 1, logprobs: "yes" })
    expect(alone.json.choices[0].logprobs.content[0].top_logprobs).toEqual([])
  })

  test("echo repeats the last message only when the model goes on with it", async () => {
    const going = [...messages, { role: "assistant", content: "Well, " }]
    const body = { messages: going, echo: true, add_generation_prompt: false, continue_final_message: true }
    const { status, json } = await api.post(PATH, body)
    expect(status).toBe(200)
    expect(json.choices[0].message).toMatchObject({ role: "assistant", content: "Well, Hello" })
    const other = await api.post(PATH, { messages, echo: true })
    expect(other.json.choices[0].message.content).toBe("Hello")
  })

  test("prompt text and token ids are told when asked for", async () => {
    const { json } = await api.post(PATH, { messages, max_tokens: 1, return_token_ids: true, return_prompt_text: true })
    expect(json.prompt_text).toStartWith("<|im_start|>user")
    expect(json.prompt_token_ids[0]).toBe(258)
    expect(json.choices[0].token_ids).toEqual([72])
  })

  describe("a model with templates for kinds of chats", () => {
    const apiWith = (sources: Record<string, string>) =>
      makeApi({ chatTemplates: ChatTemplates.parse(new Map(Object.entries(sources))), api: { toolParser: "hermes" } })
    const api = apiWith({
      default: "default {{ messages[0].content }}", tool_use: "{{ tools[0].function.name }}", rag: "rag",
    })
    const tools = [{ type: "function", function: { name: "look_up", parameters: {} } }]
    const documents = [{ text: "d" }]
    const rows: [name: string, body: Record<string, unknown>, prompt: string][] = [
      ["neither", {}, "default hi"],
      ["an empty list", { documents: [] }, "default hi"],
      ["tools", { tools }, "look_up"],
      ["documents", { documents }, "rag"],
      ["both", { tools, documents }, "look_up"],
      // A name is not a template that somebody brings: no trust is needed.
      ["a name", { chat_template: "rag" }, "rag"],
      // That template has no place for tools: they are described in the system message.
      ["a name, with tools", { chat_template: "default", tools }, expect.stringMatching(/^default You have .*look_up/s)],
      ["a name among the variables", { chat_template_kwargs: { chat_template: "rag" } }, "rag"],
    ]
    for (const [name, body, prompt] of rows)
      test(name, async () => {
        const { status } = await api.post(PATH, { messages, ...body })
        expect([status, lastPrompt(api)]).toEqual([200, prompt])
      })

    test("a name that it does not have is a template of the request's own", async () => {
      const { status, text } = await api.post(PATH, { messages, chat_template: "other" })
      expect([status, text]).toEqual([400, expect.stringContaining("--trust-request-chat-template")])
    })

    test("without a default says which there are", async () => {
      const few = apiWith({ tool_use: "T" })
      const { status, text } = await few.post(PATH, { messages })
      expect([status, text]).toEqual([400, expect.stringContaining("only ones named tool_use")])
      expect((await few.post(PATH, { messages, tools })).status).toBe(200)
    })
  })

  test("a request's own template needs the server's trust", async () => {
    const body = { messages, chat_template: "{{ messages[0]['content'] }}!" }
    const refused = await api.post(PATH, body)
    expect(refused.json.error).toMatchObject({ type: "BadRequestError", param: null, code: 400 })
    const trusting = makeApi({ api: { trustRequestChatTemplate: true } })
    expect((await trusting.post(PATH, body)).status).toBe(200)
    expect(lastPrompt(trusting)).toBe("hi!")
    const raising = await trusting.post(PATH, { messages, chat_template: "{{ raise_exception('no tools here') }}" })
    expect(raising.status).toBe(400)
    expect(raising.json.error.message).toContain("no tools here")
  })

  test("a model without a template says so", async () => {
    const { status, json } = await makeApi({ withoutTemplate: true }).post(PATH, { messages })
    expect(status).toBe(400)
    expect(json.error.message).toContain("--chat-template")
  })
})

describe("streams", () => {
  test("begin with the role of each choice, then the deltas; an empty last delta is {}", async () => {
    const { events } = await api.post(PATH, { messages, stream: true, n: 2 })
    const head = {
      id: expect.stringMatching(/^chatcmpl-/),
      object: "chat.completion.chunk",
      created: expect.any(Number),
      model: "fake",
    }
    for (const index of [0, 1]) {
      const delta = { role: "assistant", content: "" }
      expect(events[index]).toEqual({
        ...head,
        choices: [{ index, delta, logprobs: null, finish_reason: null }],
        prompt_token_ids: null,
        prompt_text: null,
      })
    }
    expect(events[2]).toEqual({
      ...head, choices: [{ index: 0, delta: { content: "H" }, logprobs: null, finish_reason: null, token_ids: null }],
    })
    const last = { delta: {}, logprobs: null, finish_reason: "stop", stop_reason: null, token_ids: null }
    expect(events.filter((e) => e.choices?.[0].finish_reason !== null && e !== "[DONE]")).toEqual([
      { ...head, choices: [{ index: 0, ...last }], system_fingerprint: expect.any(String) },
      { ...head, choices: [{ index: 1, ...last }], system_fingerprint: expect.any(String) },
    ])
    expect(events.at(-1)).toBe("[DONE]")
  })

  test("continuous usage counts from the role chunk on", async () => {
    const stream_options = { include_usage: true, continuous_usage_stats: true }
    const { events } = await api.post(PATH, { messages, stream: true, max_tokens: 2, stream_options })
    const promptTokens = events[0].usage.prompt_tokens
    expect(events.slice(0, 3).map((e) => e.usage)).toEqual([0, 1, 2].map((count) => ({
      prompt_tokens: promptTokens, total_tokens: promptTokens + count, completion_tokens: count,
      completion_tokens_details: null,
    })))
    expect(events[3]).toMatchObject({
      choices: [],
      usage: { completion_tokens: 2, prompt_tokens_details: { cached_tokens: 0, created_cache_tokens: 0 } },
    })
    expect(events[3].system_fingerprint).toBeString()
  })

  test("log-probabilities and token ids ride on the deltas, prompt ids on the opening", async () => {
    const body = { messages, stream: true, max_tokens: 2, logprobs: true, return_token_ids: true }
    const { events } = await api.post(PATH, body)
    expect(events[0].prompt_token_ids).toBeArray()
    expect(events.slice(1, 3).map((e: Json) => e.choices[0].token_ids)).toEqual([[72], [101]])
    expect(events.slice(1, 3).map((e: Json) => e.choices[0].logprobs.content.length)).toEqual([1, 1])
  })

  test("echo sends the last message's text in a chunk of its own", async () => {
    const going = [...messages, { role: "assistant", content: "Well, " }]
    const { events } = await api.post(PATH, {
      messages: going,
      stream: true,
      max_tokens: 1,
      echo: true,
      add_generation_prompt: false,
      continue_final_message: true,
    })
    expect(events.slice(0, 3).map((e) => e.choices[0].delta)).toEqual([
      { role: "assistant", content: "" }, { content: "Well, " }, { content: "H" },
    ])
  })
})
