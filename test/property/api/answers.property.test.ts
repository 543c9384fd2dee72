/**
 * Answers in parts: however the tokens come, a byte each or several, a stream joins to the whole answer, with stop
 * strings that begin in front of markers, within them and behind; and the whole is what the parser makes of the text
 * that the stop string leaves.
 */
import { expect, test } from "bun:test"
import fc from "fast-check"
import { parseInPieces, parseWhole } from "../../tools/answers.ts"
import type { JoinedAnswer } from "../../tools/answers.ts"
import { makeApi } from "../../unit/api/harness.ts"
import type { Answer, Api, Json } from "../../unit/api/harness.ts"

const PIECES = [
  "<think>", "</think>", "[THINK]", "[/THINK]", "<tool_call>", "</tool_call>", "<|python_tag|>", "[TOOL_CALLS]",
  "{\"name\": \"f\", \"arguments\": {\"a\": \"é\"}}", "f{\"b\": 😀}", "{\"name\": \"f\"}", "[f(a='é'), g()]", "\n", " ",
  "<tool_call>f<arg_key>a</arg_key><arg_value>5</arg_value>", "<|tool_call>call:f{a:<|\"|>é<|\"|>}", "<tool_call|>",
  "<invoke name=\"f\"><parameter name=\"a\">5</parameter></invoke>", "<｜tool▁call▁begin｜>f<｜tool▁sep｜>{\"a\": 5}",
  "<｜tool▁call▁begin｜>function<｜tool▁sep｜>f\n```json\n{}\n```<｜tool▁call▁end｜>", "<|tool_calls_section_begin|>",
  "<|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>{\"a\": \"é\"}<|tool_call_end|>",
  "; ", "<function=f>\n<parameter=a>\n5\n</parameter>\n</function>", "é", "😀", "text", "<", "{",
]
const STOPS = ["</th", "nk>\n", "é", "<tool_call>{", "}}", "\"a\"", "\n\n", "> ", "[TOOL", "call>\n", "text", "😀\n"]

/** Every format once; all pairs are the parser's own property. */
const PARSERS = [
  ["deepseek_r1", "hermes"], ["qwen3", "hermes"], ["qwen3", "qwen3_coder"], ["mistral", "mistral"],
  ["granite", "llama3_json"], [null, "pythonic"], ["deepseek_v3", null], ["deepseek_v3", "deepseek_v31"],
  ["kimi_k2", "kimi_k2"], ["glm45", "glm45"], ["minimax_m2", "minimax_m2"], [null, "gemma4"], [null, "deepseek_v3"],
] as const

const cases = fc.record({
  reply: fc.array(fc.constantFrom(...PIECES), { maxLength: 12 }).map((pieces) => pieces.join("")),
  parsers: fc.constantFrom(...PARSERS),
  stop: fc.array(fc.constantFrom(...STOPS), { maxLength: 3 }),
  include: fc.boolean(),
  minTokens: fc.integer({ min: 0, max: 10 }),
  tokensPerStep: fc.constantFrom(1, 4),
  showsReasoning: fc.boolean(),
})
type Case = typeof cases extends fc.Arbitrary<infer T> ? T : never

function dataOf({ text }: Answer): Json[] {
  const lines = text.split("\n").filter((line) => line.startsWith("data: ") && line !== "data: [DONE]")
  return lines.map((line) => JSON.parse(line.slice(6)))
}

/** What was said, by its kind, as a client joins it. */
interface Parts {
  reasoning: string
  content: string
  calls: [name: string, json: string][]
}

interface Said extends Parts {
  finish: unknown
}

const said = ({ reasoning = "", content = "", calls = [] }: JoinedAnswer): Parts => ({ reasoning, content, calls })

function saidInChat({ message, finish_reason, stop_reason }: Json): Said {
  const calls = (message.tool_calls ?? []).map((call: Json) => [call.function.name, call.function.arguments])
  const { reasoning, content } = message
  return { reasoning: reasoning ?? "", content: content ?? "", calls, finish: [finish_reason, stop_reason] }
}

function saidInChunks(chunks: readonly Json[]): Said {
  const all: Said = { reasoning: "", content: "", calls: [], finish: null }
  for (const { delta, finish_reason, stop_reason } of chunks.flatMap(({ choices }) => choices)) {
    all.reasoning += delta.reasoning ?? ""
    all.content += delta.content ?? ""
    for (const call of delta.tool_calls ?? []) {
      if (call.id !== undefined) all.calls.push([call.function.name, ""])
      all.calls[call.index]![1] += call.function.arguments
    }
    if (finish_reason !== null) all.finish = [finish_reason, stop_reason]
  }
  return all
}

function saidInItems(output: readonly Json[]): Parts {
  const texts = (type: string) =>
    output.filter((item) => item.type === type).map(({ content }) => content[0].text).join("")
  const calls = output.filter(({ type }) => type === "function_call").map((call) => [call.name, call.arguments])
  return { reasoning: texts("reasoning"), content: texts("message"), calls: calls as Said["calls"] }
}

function saidInBlocks(events: readonly Json[]): Parts {
  const all: Parts = { reasoning: "", content: "", calls: [] }
  for (const { content_block: block, delta } of events) {
    if (block?.type === "tool_use") all.calls.push([block.name, ""])
    all.reasoning += delta?.thinking ?? ""
    all.content += delta?.text ?? ""
    if (delta?.partial_json !== undefined) all.calls.at(-1)![1] += delta.partial_json
  }
  return all
}

const apis = new Map<string, Api>()
/** Of every engine. */
let reply = ""

function apiFor({ parsers, tokensPerStep }: Case): Api {
  const key = `${parsers.join()} ${tokensPerStep}`
  const [reasoningParser, toolParser] = parsers
  const known = apis.get(key)
  const api = known ?? makeApi({
    reply: () => `${reply}<|eos|>`, tokensPerStep, api: { reasoningParser, toolParser }, model: { maxModelLen: 4096 },
  })
  apis.set(key, api)
  return api
}

async function ask(each: Case) {
  const api = apiFor(each)
  const [, tools] = each.parsers
  reply = each.reply
  const messages = [{ role: "user", content: "hi" }]
  const schema = { type: "object", properties: { a: { type: "integer" } } }
  const limits = { min_tokens: each.minTokens, include_stop_str_in_output: each.include, stop: each.stop }
  const shared = { ...limits, include_reasoning: each.showsReasoning }
  const chatTools = tools === null ? {} : { tools: [{ type: "function", function: { name: "f", parameters: schema } }] }
  const itemTools = tools === null ? {} : { tools: [{ type: "function", name: "f", parameters: schema }] }
  const chat = { messages, ...chatTools, ...shared }
  const item = { input: "hi", ...itemTools, ...shared }
  const message = {
    max_tokens: 2000, messages, stop_sequences: each.stop,
    ...(tools === null ? {} : { tools: [{ name: "f", input_schema: schema }] }),
  }
  const post = (path: string, body: object) => api.post(path, body)
  const completion = { prompt: "hi", max_tokens: 2000 }
  const [whole, chunks, response, events, block, blocks, raw, plain] = await Promise.all([
    post("/v1/chat/completions", chat), post("/v1/chat/completions", { ...chat, stream: true }),
    post("/v1/responses", item), post("/v1/responses", { ...item, stream: true }),
    post("/v1/messages", message), post("/v1/messages", { ...message, stream: true }),
    post("/v1/completions", { ...completion, ...limits }), post("/v1/completions", { ...completion, stop: each.stop }),
  ])
  return {
    api, chat: whole.json.choices[0], chunks: dataOf(chunks), response: response.json, events: dataOf(events),
    message: block.json, blocks: dataOf(blocks), raw: raw.json.choices[0], plain: plain.json.choices[0],
  }
}

test("a stream joins to the whole answer, whatever stops it where", async () => {
  await fc.assert(
    fc.asyncProperty(cases, async (each) => {
      const { api, chat, chunks, response, events, message, blocks, raw, plain } = await ask(each)
      const [reasoning, tools] = each.parsers
      const schemas = new Map([["f", { type: "object", properties: { a: { type: "integer" } } }]])
      const shown = (parsed: JoinedAnswer) => said(each.showsReasoning ? parsed : { ...parsed, reasoning: "" })
      const setup = { reasoning, tools, schemas }
      const streamed = shown(parseInPieces(setup, [raw.text]))
      const whole = shown(parseWhole(setup, raw.text))

      const { finish, ...parts } = saidInChat(chat)
      expect(parts).toEqual(whole)
      expect(saidInChunks(chunks)).toEqual({ ...streamed, finish })
      expect(chat.stop_reason).toEqual(raw.stop_reason)
      expect(chat.finish_reason === "tool_calls" ? "stop" : chat.finish_reason).toBe(raw.finish_reason)

      expect(saidInItems(response.output)).toEqual(whole)
      const done = events.filter(({ type }) => type === "response.output_item.done").map(({ item }) => item)
      expect(saidInItems(done)).toEqual(streamed)
      const last = events.at(-1).response
      expect(saidInItems(last.output)).toEqual(streamed)

      // Messages have neither `include_stop_str_in_output` nor `min_tokens`, and always show reasoning.
      const inPieces = said(parseInPieces(setup, [plain.text]))
      const inOne = said(parseWhole(setup, plain.text))
      expect(saidInBlocks(blocks)).toEqual(inPieces)
      const texts = (type: string, key: string) =>
        message.content.filter((block: Json) => block.type === type).map((block: Json) => block[key]).join("")
      const uses = message.content.filter(({ type }: Json) => type === "tool_use")
      expect([texts("thinking", "thinking"), texts("text", "text")]).toEqual([inOne.reasoning, inOne.content])
      expect(uses.map(({ name }: Json) => name)).toEqual(inOne.calls.map(([name]) => name))
      expect(blocks.at(-2).delta).toEqual({ stop_reason: message.stop_reason, stop_sequence: message.stop_sequence })
      expect(api.fake.engine.numUnfinished()).toBe(0)
    }),
    { numRuns: 120 },
  )
}, 60_000)
