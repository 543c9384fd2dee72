/** Reasoning and tool calls as the three kinds of conversations tell of them, whole and streamed. */
import { describe, expect, test } from "bun:test"
import { answerKinds } from "../../../src/api/chat/answer-kinds.ts"
import { defaultSamplingParams } from "../../../src/core/sampling-params.ts"
import { OutputText } from "../../../src/engine/output-text.ts"
import { ToyTokenizer } from "../../toy-tokenizer.ts"
import { makeApi } from "./harness.ts"
import type { Answer, Api, ApiSetup, Json } from "./harness.ts"

const CHAT = "/v1/chat/completions"
const MESSAGES = "/v1/messages"
const RESPONSES = "/v1/responses"

const messages = [{ role: "user", content: "hi" }]
const tools = [{ type: "function", function: { name: "add", parameters: { type: "object" } } }]
const ADD = "{\"a\": 1, \"b\": [\"é\"]}"
const CALL = `<tool_call>\n{"name": "add", "arguments": ${ADD}}\n</tool_call>`
const FULL = `hm</think>\n\nI add. ${CALL}\n${CALL}<|eos|>`
const PARSERS = { reasoningParser: "qwen3", toolParser: "hermes" } as const

const serving = (reply: string, setup: ApiSetup = {}): Api => makeApi({
  reply, ...setup, api: { ...PARSERS, ...setup.api }, model: { maxModelLen: 4096, ...setup.model },
})

const callOf = (id: unknown) => ({ id, type: "function", function: { name: "add", arguments: ADD } })
const CALL_ID = expect.stringMatching(/^chatcmpl-tool-[0-9a-f]{16}$/)

function events(answer: Answer): Json[] {
  const lines = answer.text.split("\n").filter((line) => line.startsWith("data: ") && line !== "data: [DONE]")
  return lines.map((line) => JSON.parse(line.slice(6)))
}

describe("chat", () => {
  const ask = async (reply: string, body: object = {}, setup: ApiSetup = {}): Promise<Json> => {
    const { status, json } = await serving(reply, setup).post(CHAT, { messages, tools, ...body })
    expect([status, json.error]).toEqual([200, undefined])
    return json
  }

  test("has reasoning, content and calls apart", async () => {
    const { choices: [choice], usage } = await ask(FULL)
    expect(choice).toMatchObject({ finish_reason: "tool_calls", stop_reason: null })
    expect(choice.message).toEqual({
      role: "assistant", content: "\n\nI add.", refusal: null, annotations: null, audio: null, function_call: null,
      tool_calls: [callOf(CALL_ID), callOf(CALL_ID)], reasoning: "hm",
    })
    expect(choice.message.tool_calls[0].id).not.toBe(choice.message.tool_calls[1].id)
    expect(usage.completion_tokens_details).toEqual({ reasoning_tokens: 2 })
  })

  test("without a text beside them has no content; without calls no list of them", async () => {
    const calling = (await ask(`hm</think>\n${CALL}<|eos|>`)).choices[0].message
    expect([calling.content, calling.reasoning]).toEqual([null, "hm"])
    const { choices: [plain] } = await ask("hm</think>Hello<|eos|>")
    expect(plain).toMatchObject({ finish_reason: "stop", message: { content: "Hello", reasoning: "hm" } })
    expect("tool_calls" in plain.message).toBe(false)
    expect((await ask("hmm<|eos|>")).usage.completion_tokens_details).toEqual({ reasoning_tokens: 3 })
    const { choices: [thinking] } = await ask("hmmm", { max_tokens: 4 })
    expect(thinking).toMatchObject({ finish_reason: "length", message: { content: null, reasoning: "hmmm" } })
  })

  test("begins as its prompt ends", async () => {
    const off = { chat_template_kwargs: { enable_thinking: false } }
    expect((await ask("Hello<|eos|>", off)).choices[0].message).toMatchObject({ content: "Hello", reasoning: null })
    const going = {
      messages: [...messages, { role: "assistant", content: "<think>so</think>Well," }],
      add_generation_prompt: false, continue_final_message: true,
    }
    expect((await ask(" yes<|eos|>", going)).choices[0].message).toMatchObject({ content: " yes", reasoning: null })
  })

  test("parses calls only where the model may make them", async () => {
    for (const body of [{ tool_choice: "none" }, { tools: null }]) {
      const { choices: [choice] } = await ask(`hm</think>${CALL}<|eos|>`, body)
      expect(choice).toMatchObject({ finish_reason: "stop", message: { content: CALL, reasoning: "hm" } })
    }
    const { choices: [choice] } = await ask(FULL, { tool_choice: null })
    expect(choice.message.tool_calls).toHaveLength(2)
  })

  test("has one call where calls may not be parallel", async () => {
    const { choices: [choice] } = await ask(FULL, { parallel_tool_calls: false })
    expect(choice).toMatchObject({ finish_reason: "tool_calls", message: { tool_calls: [callOf(CALL_ID)] } })
  })

  test("leaves reasoning out, and the tokens that would tell of it", async () => {
    const told = { logprobs: true, return_token_ids: true }
    const { choices: [choice], usage } = await ask(FULL, { include_reasoning: false, ...told })
    expect(choice).toMatchObject({ logprobs: null, token_ids: null, message: { reasoning: null } })
    expect(usage.completion_tokens_details).toEqual({ reasoning_tokens: 2 })
    const shown = (await ask(FULL, told)).choices[0]
    expect(shown.logprobs.content).toHaveLength(shown.token_ids.length)
  })

  const CUT = CALL.slice(0, CALL.length - 20)
  const BROKEN = "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": oops}}\n</tool_call>"

  test("has its calls as text where the arguments of one do not parse", async () => {
    const cases: [reply: string, more: object, ending: object, content: string][] = [
      [`</think>${CALL}`, { max_tokens: "</think>".length + CUT.length }, { finish_reason: "length" }, CUT],
      [`</think>${CALL}`, { stop: "\"b\"" }, { finish_reason: "stop", stop_reason: "\"b\"" },
        CALL.slice(0, CALL.indexOf("\"b\""))],
      [`</think>So:\n${CALL}\n${BROKEN}\nDone. <|eos|>`, {}, { finish_reason: "stop" },
        `So:\n${CALL}\n${BROKEN}\nDone. `],
    ]
    for (const [reply, more, ending, content] of cases) {
      const { choices: [choice] } = await ask(reply, more)
      expect(choice).toMatchObject({ ...ending, message: { content, reasoning: null } })
      expect("tool_calls" in choice.message).toBe(false)
    }
    // A call that ends the reasoning does so as a text, too.
    const { choices: [choice] } = await ask(`hm ${BROKEN}<|eos|>`)
    expect(choice).toMatchObject({ finish_reason: "stop", message: { content: BROKEN, reasoning: "hm " } })
  })

  test("keeps a call that runs where the broken one behind it is left out", async () => {
    const { choices: [choice] } = await ask(`</think>${CALL}${BROKEN}<|eos|>`, { parallel_tool_calls: false })
    expect(choice).toMatchObject({ finish_reason: "tool_calls", message: { tool_calls: [callOf(CALL_ID)] } })
  })

  test("streams arguments that do not parse as they come, and is for no calls", async () => {
    for (const [reply, more, finish_reason] of [
      [`</think>${CALL}${BROKEN}<|eos|>`, {}, "stop"],
      [`</think>${CALL}`, { max_tokens: "</think>".length + CUT.length }, "length"],
    ] as const) {
      const answer = await serving(reply, { tokensPerStep: 3 }).post(CHAT, { messages, tools, stream: true, ...more })
      const choices = events(answer).map(({ choices: [choice] }) => choice)
      expect(choices.at(-1).finish_reason).toBe(finish_reason)
      const last = choices.flatMap(({ delta }) => delta.tool_calls ?? []).at(-1)
      const json = choices.flatMap(({ delta }) => delta.tool_calls ?? [])
        .filter(({ index }: Json) => index === last.index).map((each: Json) => each.function.arguments).join("")
      expect(reply).toContain(json)
      expect(json).toStartWith("{\"a\": ")
      expect(choices.map(({ delta }) => delta.content ?? "").join("")).toBe("")
    }
  })

  test("ends at a stop string wherever it is: in a thought, in a call, across a marker", async () => {
    const cases: [string, object][] = [
      ["m</thi", { content: null, reasoning: "h" }],
      ["</think>\n\nI", { content: null, reasoning: "hm" }],
      ["I add", { content: "\n\n", reasoning: "hm" }],
      ["dd. <tool", { content: "\n\nI a", reasoning: "hm" }],
      ["name", { content: "\n\nI add. <tool_call>\n{\"", reasoning: "hm" }],
    ]
    for (const [stop, message] of cases) {
      const { choices: [choice] } = await ask(FULL, { stop })
      expect(choice).toMatchObject({ finish_reason: "stop", stop_reason: stop, message })
    }
    const included = (await ask(FULL, { stop: "</tool_call>", include_stop_str_in_output: true })).choices[0]
    expect(included).toMatchObject({ finish_reason: "tool_calls", stop_reason: "</tool_call>" })
    expect(included.message.tool_calls).toEqual([callOf(CALL_ID)])
  })

  test("finds marks that are special tokens, which others are left out beside", () => {
    class Marked extends ToyTokenizer {
      override tokenId(piece: string) {
        return piece === "[TOOL_CALLS]" ? 258 : piece === "[THINK]" ? 104 : super.tokenId(piece)
      }
    }
    const names = { reasoningParser: "mistral", toolParser: "mistral" } as const
    const { withTools, withoutTools } = answerKinds(names, new Marked())
    // What is no special token is text anyway.
    expect([withTools!.keptTokenIds, withoutTools!.keptTokenIds]).toEqual([[258], []])
    const ids = new ToyTokenizer().encode("<|im_end|>a<|im_start|>", { addSpecialTokens: false })
    const text = new OutputText(new ToyTokenizer(), defaultSamplingParams({ keptTokenIds: [258] }), [])
    text.push(ids, false)
    expect(text.take(true)).toBe("a<|im_start|>")
  })

  test("ids of calls are as the model's template takes them", async () => {
    const { message } = (await ask("[TOOL_CALLS]add[ARGS]{}<|eos|>", {}, { api: { toolParser: "mistral" } })).choices[0]
    expect(message.tool_calls[0].id).toMatch(/^[0-9a-zA-Z]{9}$/)
  })

  test("streams a call's name first, then its arguments", async () => {
    const stream = { stream: true, stream_options: { include_usage: true } }
    const answer = await serving(FULL).post(CHAT, { messages, tools, ...stream })
    const deltas = events(answer).flatMap(({ choices }) => choices).map(({ delta }) => delta)
    expect(deltas[0]).toEqual({ role: "assistant", content: "" })
    const joined = (key: string) => deltas.map((delta: Json) => delta[key] ?? "").join("")
    expect([joined("reasoning"), joined("content")]).toEqual(["hm", "\n\nI add."])
    const calls = deltas.flatMap((delta: Json) => delta.tool_calls ?? [])
    for (const index of [0, 1]) {
      const [first, ...rest] = calls.filter((each: Json) => each.index === index)
      expect(first).toEqual({ index, id: CALL_ID, type: "function", function: { name: "add", arguments: "" } })
      for (const each of rest) expect(Object.keys(each)).toEqual(["index", "function"])
      expect(rest.map((each: Json) => each.function.arguments).join("")).toBe(ADD)
    }
    // One chunk has one kind of news, and none is empty but the last.
    for (const delta of deltas.slice(1, -1)) expect(Object.keys(delta)).toHaveLength(1)
    const last = events(answer).at(-2).choices[0]
    expect(last).toMatchObject({ delta: {}, finish_reason: "tool_calls", stop_reason: null })
    expect(events(answer).at(-1).usage.completion_tokens_details).toEqual({ reasoning_tokens: 2 })
  })

  test("streams every token's log-probabilities and id, also while the text is held back", async () => {
    const answer = await serving(FULL).post(CHAT, {
      messages, tools, stream: true, logprobs: true, return_token_ids: true,
    })
    const choices = events(answer).flatMap(({ choices: each }) => each).slice(1)
    const ids = choices.flatMap(({ token_ids }) => token_ids)
    expect(ids).toHaveLength(new TextEncoder().encode(FULL).length - "<|eos|>".length + 1)
    expect(choices.flatMap(({ logprobs }) => logprobs.content)).toHaveLength(ids.length)
  })

  test("of several choices parses each", async () => {
    const { choices } = await ask(FULL, { n: 2, temperature: 1 })
    expect(choices.map(({ message }: Json) => message.tool_calls.length)).toEqual([2, 2])
    const answer = await serving(FULL).post(CHAT, { messages, tools, n: 2, temperature: 1, stream: true })
    const finished = events(answer).flatMap(({ choices: each }) => each).filter((each) => each.finish_reason !== null)
    expect(finished.map(({ finish_reason }) => finish_reason)).toEqual(["tool_calls", "tool_calls"])
  })

  test("refuses calls that nobody would find", async () => {
    const { status, json } = await makeApi().post(CHAT, { messages, tools })
    expect([status, json.error.param]).toEqual([400, "tool_choice"])
    expect(json.error.message).toContain("requires --tool-call-parser")
  })
})

describe("responses", () => {
  const tool = { type: "function", name: "add", parameters: {} }
  const input = "hi"

  test("have an item for each part", async () => {
    const { json } = await serving(FULL).post(RESPONSES, { input, tools: [tool] })
    const call = {
      id: expect.stringMatching(/^fc_/), type: "function_call", call_id: CALL_ID, name: "add", arguments: ADD,
      async: null, caller: null, namespace: null, status: "completed",
    }
    expect(json.output).toEqual([
      {
        id: expect.stringMatching(/^rs_/), type: "reasoning", summary: [], encrypted_content: null, status: "completed",
        content: [{ type: "reasoning_text", text: "hm" }],
      },
      {
        id: expect.stringMatching(/^msg_/), type: "message", role: "assistant", status: "completed", phase: null,
        content: [{ type: "output_text", text: "\n\nI add.", annotations: [], logprobs: null }],
      },
      call, call,
    ])
    expect(json.usage.output_tokens_details.reasoning_tokens).toBe(2)
  })

  test("stream their items one after the other", async () => {
    const api = serving(FULL, { tokensPerStep: 4 })
    const all = events(await api.post(RESPONSES, { input, tools: [tool], stream: true }))
    const types = all.map(({ type }) => type.replace("response.", ""))
    const inTurn = types.filter((type, i) => !type.endsWith(".delta") || type !== types[i - 1])
    const call = [
      "output_item.added", "function_call_arguments.delta", "function_call_arguments.done", "output_item.done",
    ]
    const part = (kind: string) => [
      "output_item.added", "content_part.added", `${kind}.delta`,
      `${kind}.done`, "content_part.done", "output_item.done",
    ]
    expect(inTurn).toEqual([
      "created", "in_progress", ...part("reasoning_text"), ...part("output_text"), ...call, ...call, "completed",
    ])
    const items = all.filter(({ type }) => type === "response.output_item.done").map(({ item }) => item)
    expect(all.at(-1).response.output).toEqual(items)
    for (const [index, item] of items.entries()) {
      const deltas = all.filter(({ output_index, delta }) => output_index === index && delta !== undefined)
      const text = deltas.map(({ delta }) => delta).join("")
      expect(text).toBe(item.arguments ?? item.content[0].text)
      expect(new Set(deltas.map(({ item_id }) => item_id))).toEqual(new Set([item.id]))
    }
  })

  test("that are cut off in a call say so", async () => {
    const body = { input, tools: [tool], max_output_tokens: "</think>".length + CALL.length - 20 }
    const streamed = events(await serving(`</think>${CALL}`).post(RESPONSES, { ...body, stream: true })).at(-1).response
    expect(streamed).toMatchObject({ status: "incomplete", output: [{ type: "function_call", status: "incomplete" }] })
    // Nothing has been given out of one that comes whole: it is a text.
    const { json } = await serving(`</think>${CALL}`).post(RESPONSES, body)
    const content = [{ text: CALL.slice(0, -20) }]
    expect(json).toMatchObject({ status: "incomplete", output: [{ type: "message", content }] })
  })

  test("that show no reasoning have neither its item nor log-probabilities", async () => {
    const { json } = await serving(FULL).post(RESPONSES, {
      input, tools: [tool], include_reasoning: false, include: ["message.output_text.logprobs"],
    })
    expect(json.output.map(({ type }: Json) => type)).toEqual(["message", "function_call", "function_call"])
    expect(json.output[0].content[0].logprobs).toBeNull()
  })

  test("have all log-probabilities in their message, streamed or not", async () => {
    const body = { input, tools: [tool], include: ["message.output_text.logprobs"] }
    const whole = (await serving(FULL).post(RESPONSES, body)).json
    const streamed = events(await serving(FULL).post(RESPONSES, { ...body, stream: true })).at(-1).response
    const { logprobs } = whole.output[1].content[0]
    expect(logprobs).toHaveLength(whole.usage.output_tokens)
    expect(streamed.output[1].content[0].logprobs).toEqual(logprobs)
  })

  test("without any part are an empty message", async () => {
    const { json } = await serving("</think><|eos|>").post(RESPONSES, { input })
    expect(json.output).toMatchObject([{ type: "message", content: [{ text: "" }] }])
  })

  test("are gone on from with their calls and thoughts, as referred items are", async () => {
    const template = "{% for m in messages %}({{ m.role }}{{ m.reasoning or '' }}" +
      "{% for c in m.tool_calls or [] %}={{ c.function.name }}{% endfor %}:{{ m.content or '' }}){% endfor %}"
    const api = serving(FULL, { api: { trustRequestChatTemplate: true } })
    const body = { tools: [tool], chat_template: template }
    const first = (await api.post(RESPONSES, { input, ...body })).json
    const result = { type: "function_call_output", call_id: first.output[2].call_id, output: "3" }
    const prompt = () => api.fake.tokenizer.decode(api.fake.core.added.at(-1)!.promptTokenIds)
    const next = await api.post(RESPONSES, { input: [result], previous_response_id: first.id, ...body })
    expect([next.status, prompt()]).toEqual([200, "(user:hi)(assistanthm=add=add:\n\nI add.)(tool:3)"])
    const reference = { type: "item_reference", id: first.output[2].id }
    await api.post(RESPONSES, { input: [{ role: "user", content: "hi" }, reference, result], ...body })
    expect(prompt()).toBe("(user:hi)(assistant=add:)(tool:3)")
  })
})

describe("messages", () => {
  const tool = { name: "add", input_schema: { type: "object" } }
  const body = { max_tokens: 300, messages, tools: [tool] }
  const use = { type: "tool_use", id: CALL_ID, name: "add", input: { a: 1, b: ["é"] } }

  test("have a block for each part", async () => {
    const { json } = await serving(FULL).post(MESSAGES, body)
    expect(json).toMatchObject({ stop_reason: "tool_use", stop_sequence: null })
    expect(json.content).toEqual([
      { type: "thinking", thinking: "hm", signature: expect.stringMatching(/./) },
      { type: "text", text: "\n\nI add." }, use, use,
    ])
  })

  test("stream their blocks one after the other", async () => {
    const all = events(await serving(FULL, { tokensPerStep: 4 }).post(MESSAGES, { ...body, stream: true }))
    const starts = all.filter(({ type }) => type === "content_block_start").map(({ content_block }) => content_block)
    expect(starts).toEqual([
      { type: "thinking", thinking: "", signature: "" }, { type: "text", text: "" },
      { ...use, input: {} }, { ...use, input: {} },
    ])
    const kinds = all.map(({ type, index, delta }) => [type, index, delta?.type ?? ""].join(" ").trim())
    const inTurn = kinds.filter((kind, i) => kind !== kinds[i - 1])
    const block = (index: number, ...deltas: string[]) => [
      `content_block_start ${index}`, ...deltas.map((each) => `content_block_delta ${index} ${each}`),
      `content_block_stop ${index}`,
    ]
    expect(inTurn).toEqual([
      "message_start", ...block(0, "thinking_delta", "signature_delta"), ...block(1, "text_delta"),
      ...block(2, "input_json_delta"), ...block(3, "input_json_delta"), "message_delta", "message_stop",
    ])
    const json = all.filter(({ index, delta }) => index === 2 && delta).map(({ delta }) => delta.partial_json).join("")
    expect(json).toBe(ADD)
    expect(all.at(-2).delta).toEqual({ stop_reason: "tool_use", stop_sequence: null })
  })

  test("say why they ended: whole calls before a stop sequence, the limit before all", async () => {
    const reason = async (more: object, reply = FULL) => {
      const { stop_reason, stop_sequence } = (await serving(reply).post(MESSAGES, { ...body, ...more })).json
      return [stop_reason, stop_sequence]
    }
    expect(await reason({ stop_sequences: ["\n</tool_call>"] })).toEqual(["tool_use", null])
    expect(await reason({ stop_sequences: ["\"b\""] })).toEqual(["stop_sequence", "\"b\""])
    expect(await reason({ stop_sequences: ["m</think>"] })).toEqual(["stop_sequence", "m</think>"])
    expect(await reason({ max_tokens: 60 })).toEqual(["max_tokens", null])
    expect(await reason({}, "hm</think>Hello<|eos|>")).toEqual(["end_turn", null])
  })

  test("tell a call's numbers as the model wrote them", async () => {
    const reply = `</think>${CALL.replace(ADD, "{\"id\": 2512292042121000001, \"x\": 1.0}")}<|eos|>`
    const { text } = await serving(reply).post(MESSAGES, body)
    expect(text).toContain("\"input\":{\"id\":2512292042121000001,\"x\":1.0}")
  })

  test("have a call that cannot be run as text", async () => {
    const broken = CALL.replace("1", "one")
    const { json } = await serving(`</think>${broken}<|eos|>`).post(MESSAGES, body)
    expect(json).toMatchObject({ stop_reason: "end_turn", content: [{ type: "text", text: broken }] })
    const streamed = events(await serving(`</think>${broken}<|eos|>`).post(MESSAGES, { ...body, stream: true }))
    expect(streamed.at(-2).delta).toEqual({ stop_reason: "end_turn", stop_sequence: null })
  })

  test("have one call where the model may not make several, and none where it may make none", async () => {
    const auto = { type: "auto", disable_parallel_tool_use: true }
    const one = (await serving(FULL).post(MESSAGES, { ...body, tool_choice: auto })).json
    expect(one.content.map(({ type }: Json) => type)).toEqual(["thinking", "text", "tool_use"])
    const none = (await serving(FULL).post(MESSAGES, { ...body, tool_choice: { type: "none" } })).json
    expect(none.content.map(({ type }: Json) => type)).toEqual(["thinking", "text"])
  })

  test("without any part are an empty text", async () => {
    for (const stream of [false, true]) {
      const answer = await serving("</think><|eos|>").post(MESSAGES, { ...body, stream })
      const blocks = stream ? events(answer).filter(({ content_block }) => content_block) : answer.json.content
      expect(blocks).toHaveLength(1)
    }
  })

  test("think within a budget", async () => {
    const marks = { startIds: [1], endIds: [2], forcedEndIds: [2] }
    const api = serving(FULL, { model: { reasoning: marks } })
    const thinking = { type: "enabled", budget_tokens: 1024 }
    expect((await api.post(MESSAGES, { ...body, max_tokens: 2000, thinking })).status).toBe(200)
    const { sampling, promptTokenIds } = api.fake.core.added.at(-1)!
    expect(sampling.thinkingBudget).toEqual({ maxTokens: 1024, ...marks, unmarkedStart: promptTokenIds.length })
    expect(api.fake.tokenizer.decode(promptTokenIds)).toContain("[thinking on]")
    for (const [budget_tokens, max_tokens] of [[1023, 2000], [1024, 1024], [null, 2000]]) {
      const refused = await api.post(MESSAGES, { ...body, max_tokens, thinking: { type: "enabled", budget_tokens } })
      expect([refused.status, refused.json.error.message]).toEqual([400, expect.stringContaining("budget_tokens")])
    }
  })
})
