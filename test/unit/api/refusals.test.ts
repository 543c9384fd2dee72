/** Every request that must be refused, and what the refusal says. After each the server goes on as before. */
import { afterAll, describe, expect, test } from "bun:test"
import { makeApi } from "./harness.ts"

const COMPLETIONS = "/v1/completions"
const CHAT = "/v1/chat/completions"
const api = makeApi({ reply: "ok<|eos|>" })

interface Refusal {
  readonly status?: number
  readonly type?: string
  readonly param: string | null
  /** The status where it is left out. */
  readonly code?: string
  readonly says: RegExp
}

const tooLong = (param: string, says: RegExp): Refusal => ({ param, code: "context_length_exceeded", says })

async function check(path: string, body: object, refusal: Refusal): Promise<void> {
  const { status = 400, type = "BadRequestError", param, code = status, says } = refusal
  const answer = await api.post(path, body)
  expect(answer.status).toBe(status)
  expect(answer.json).toEqual({ error: { message: expect.stringMatching(says), type, param, code } })
}

afterAll(async () => {
  expect(api.fake.numLive()).toBe(0)
  expect((await api.post(COMPLETIONS, { prompt: "hi" })).status).toBe(200)
})

const schema = (path: string, says: RegExp): Refusal => ({ type: "Bad Request", param: path, says })

describe("completions: wrong shapes", () => {
  const cases: [string, object, Refusal][] = [
    ["text for a number", { temperature: "hot" }, schema("body.temperature", /number, got "hot"/)],
    ["list for a number", { top_p: [1] }, schema("body.top_p", /number, got a list of 1 entries/)],
    ["fraction for an integer", { max_tokens: 1.5 }, schema("body.max_tokens", /integer, got 1.5/)],
    ["word for a boolean", { stream: "maybe" }, schema("body.stream", /true or false, got "maybe"/)],
    ["object for a prompt", { prompt: { a: 1 } }, schema("body.prompt", /a string or a list of strings/)],
    ["mixed prompt", { prompt: ["a", 1] }, schema("body.prompt.1", /string, got 1/)],
    ["negative token id", { prompt: [-1] }, schema("body.prompt.0", /at least 0, got -1/)],
    ["negative token id inside", { prompt: [[1], [2, -3]] }, schema("body.prompt.1.1", /at least 0, got -3/)],
    ["too many stop strings", { stop: Array(129).fill("a") }, schema("body.stop", /at most 128 strings, .* of 129/)],
    ["number for a stop", { stop: [5] }, schema("body.stop.0", /string, got 5/)],
    ["seed over 64 bits", { seed: "9223372036854775808" }, schema("body.seed", /signed 64-bit integer, got 9223372036854775808/)],
    ["text for stream options", { stream_options: "x" }, schema("body.stream_options", /object, got "x"/)],
    ["number for the model", { model: 5 }, schema("body.model", /string, got 5/)],
    ["bias that is no number", { logit_bias: { "5": "x" } }, schema("body.logit_bias.5", /number, got "x"/)],
    ["truncation below -1", { truncate_prompt_tokens: -2 }, schema("body.truncate_prompt_tokens", /at least -1, got -2/)],
    ["other truncation side", { truncation_side: "middle" }, schema("body.truncation_side", /"left" or "right", got "middle"/)],
  ]
  test.each(cases)("%s", (_, fields, refusal) => check(COMPLETIONS, { prompt: "hi", ...fields }, refusal))
})

describe("completions: values out of bounds", () => {
  const cases: [string, object, Refusal][] = [
    ["unknown model", { model: "nope" }, { status: 404, type: "NotFoundError", param: "model", says: /`nope`.*fake/ }],
    ["no prompt", { prompt: null }, { param: "prompt", says: /empty/ }],
    ["empty prompt", { prompt: "" }, { param: "prompt", says: /empty/ }],
    ["empty list", { prompt: [] }, { param: "prompt", says: /empty/ }],
    ["empty prompt in a list", { prompt: [[104], []] }, { param: "prompt", says: /empty/ }],
    ["too many prompts", { prompt: Array(1025).fill("x") }, { param: "prompt", says: /1024.*1025/ }],
    ["token id out of the vocabulary", { prompt: [1, 260] }, { param: "prompt", says: /260/ }],
    ["prompt longer than the model", { prompt: Array(257).fill(1) }, tooLong("input_tokens", /256 tokens.*257/)],
    ["prompt that leaves no room", { prompt: Array(256).fill(1) }, tooLong("input_tokens", /no room for an output/)],
    ["text far longer than the model", { prompt: "x".repeat(1e6) }, tooLong("input_text", /256 tokens.*1000000 char/)],
    ["max_tokens of 0", { max_tokens: 0 }, { param: "max_tokens", says: /at least 1, got 0/ }],
    ["min_tokens over max_tokens", { max_tokens: 3, min_tokens: 50 }, { param: null, says: /max_tokens=3, got 50/ }],
    ["temperature", { temperature: 3 }, { param: "temperature", says: /\[0, 2\], got 3/ }],
    ["top_p", { top_p: 0 }, { param: "top_p", says: /got 0/ }],
    ["top_k", { top_k: -2 }, { param: null, says: /got -2/ }],
    ["min_p", { min_p: 2 }, { param: null, says: /got 2/ }],
    ["n of 0", { n: 0 }, { param: null, says: /at least 1, got 0/ }],
    ["n too large", { n: 20_000 }, { param: null, says: /16384, got 20000/ }],
    ["too many choices of many prompts", { prompt: ["a", "b"], n: 10_000 }, { param: "n", says: /20000.*16384/ }],
    ["n with greedy sampling", { n: 2, temperature: 0 }, { param: null, says: /greedy sampling, got 2/ }],
    ["presence penalty", { presence_penalty: 5 }, { param: null, says: /got 5/ }],
    ["frequency penalty", { frequency_penalty: -5 }, { param: null, says: /got -5/ }],
    ["repetition penalty", { repetition_penalty: 0 }, { param: null, says: /got 0/ }],
    ["empty stop string", { stop: [""] }, { param: null, says: /empty string/ }],
    ["stop id out of the vocabulary", { stop_token_ids: [999] }, { param: "stop_token_ids", says: /999/ }],
    ["logprobs below -1", { logprobs: -3 }, { param: "logprobs", says: /got -3/ }],
    ["logprobs above the maximum", { logprobs: 21 }, { param: "logprobs", says: /21.*20/ }],
    ["all logprobs", { logprobs: -1 }, { param: "logprobs", says: /260.*20/ }],
    ["bias outside the vocabulary", { logit_bias: { "99999999": 1 } }, { param: "logit_bias", says: /99999999/ }],
    ["bias of a word", { logit_bias: { x: 1 } }, { param: "logit_bias", says: /"x"/ }],
    ["no allowed ids", { allowed_token_ids: [] }, { param: "allowed_token_ids", says: /empty/ }],
    ["allowed ids out of the vocabulary", { allowed_token_ids: [260] }, { param: "allowed_token_ids", says: /260/ }],
    ["empty bad word", { bad_words: [""] }, { param: null, says: /empty string/ }],
    ["too many bad words", { bad_words: Array(129).fill("x") }, { param: "bad_words", says: /128/ }],
    ["stream options without a stream", { stream_options: {} }, { param: "stream_options", says: /stream=True/ }],
    ["prompt logprobs in a stream", { prompt_logprobs: 1, stream: true }, { param: "prompt_logprobs", says: /stream/ }],
    ["prompt logprobs below -1", { prompt_logprobs: -2 }, { param: "prompt_logprobs", says: /-2/ }],
    ["truncation beyond the model", { truncate_prompt_tokens: 257 }, { param: "truncate_prompt_tokens", says: /256.*257/ }],
    ["cache salt with a slash", { cache_salt: "a/b" }, { param: "cache_salt", says: /cache_salt/ }],
    ["cache salt too long", { cache_salt: "a".repeat(129) }, { param: "cache_salt", says: /129/ }],
  ]
  test.each(cases)("%s", (_, fields, refusal) => check(COMPLETIONS, { prompt: "hi", ...fields }, refusal))
})

describe("what would change the answer and is not there yet is refused by name", () => {
  const cases: [string, object][] = [
    ["best_of", { best_of: 3 }],
    ["suffix", { suffix: "x" }],
    ["prompt_embeds", { prompt_embeds: "AAAA" }],
    ["thinking_token_budget", { thinking_token_budget: 5 }],
    ["response_format", { response_format: { type: "json_schema" } }],
    ["response_format", { response_format: { type: "yaml" } }],
    ["structured_outputs", { structured_outputs: { regex: "a", choice: ["a"] } }],
    ["structured_outputs", { structured_outputs: {} }],
  ]
  test.each(cases)("%s %j", (param, fields) => {
    return check(COMPLETIONS, { prompt: "hi", ...fields }, { param, says: new RegExp(param) })
  })

  test("values that ask for nothing pass", async () => {
    const nothing = {
      best_of: 1,
      use_beam_search: false,
      suffix: null,
      guided_json: null,
      response_format: { type: "text" },
    }
    expect((await api.post(COMPLETIONS, { prompt: "hi", ...nothing })).status).toBe(200)
  })
})

describe("chat", () => {
  const messages = [{ role: "user", content: "hi" }]
  const tools = [{ type: "function", function: { name: "f" } }]
  const image = { type: "image_url", image_url: { url: "data:image/png;base64,AAAA" } }
  const cases: [string, object, Refusal][] = [
    ["messages as text", { messages: "hi" }, schema("body.messages", /list of objects, got "hi"/)],
    ["no messages", { messages: undefined }, schema("body.messages", /required/)],
    ["empty messages", { messages: [] }, { param: "messages", says: /empty/ }],
    ["null message", { messages: [null] }, schema("body.messages.0", /object, got null/)],
    ["message without a role", { messages: [{ content: "x" }] }, schema("body.messages.0.role", /required/)],
    ["content as a number", { messages: [{ role: "user", content: 5 }] }, schema("body.messages.0.content", /got 5/)],
    ["picture", { messages: [{ role: "user", content: [image] }] },
      { param: "messages.0.content.0", says: /not a multimodal model/ }],
    ["unknown model", { model: "gpt-4" }, { status: 404, type: "NotFoundError", param: "model", says: /gpt-4/ }],
    ["top_logprobs alone", { top_logprobs: 3 }, { param: "top_logprobs", says: /logprobs/ }],
    ["too many top_logprobs", { logprobs: true, top_logprobs: 500 }, { param: "logprobs", says: /500.*20/ }],
    ["too long", { messages: [{ role: "user", content: "x".repeat(300) }] }, tooLong("input_tokens", /256/)],
    ["max_completion_tokens", { max_completion_tokens: 0 }, { param: "max_completion_tokens", says: /got 0/ }],
    ["both prompts", { continue_final_message: true, add_generation_prompt: true }, { param: null, says: /both/ }],
    ["continue without false", { continue_final_message: true }, { param: null, says: /add_generation_prompt/ }],
    ["template in the kwargs", { chat_template_kwargs: { chat_template: "x" } }, { param: null, says: /trust/ }],
    ["media options", { mm_processor_kwargs: { a: 1 } }, { param: "mm_processor_kwargs", says: /mm_processor_kwargs/ }],
    ["effort", { reasoning_effort: "huge" }, schema("body.reasoning_effort", /"none" or "minimal".*got "huge"/)],
    ["no tools", { tools: [] }, { param: "tools", says: /empty/ }],
    ["choice without tools", { tool_choice: "auto" }, { param: "tool_choice", says: /tools/ }],
    ["unknown choice", { tools, tool_choice: "sometimes" }, { param: "tool_choice", says: /sometimes/ }],
    [
      "absent tool",
      { tools, tool_choice: { type: "function", function: { name: "g" } } },
      { param: "tool_choice", says: /"g"/ },
    ],
    ["nameless choice", { tools, tool_choice: { function: {} } }, { param: "tool_choice.function.name", says: /name/ }],
    ["malformed choice", { tools, tool_choice: {} }, { param: "tool_choice.function", says: /function/ }],
    ["old functions", { functions: [{ name: "f" }] }, { param: "functions", says: /use tools/ }],
  ]
  test.each(cases)("%s", (_, fields, refusal) => check(CHAT, { messages, ...fields }, refusal))

  test("a map's values are looked at under every key, one with a line break too", async () => {
    const bias = await api.post(CHAT, { messages, logit_bias: { "1\n": { a: 1 } } })
    expect([bias.status, bias.json.error.message]).toEqual([400, expect.stringContaining("should be a number")])
    expect((await api.post("/v1/responses", { input: "hi", metadata: { "\n": null } })).status).toBe(400)
  })

  test("what is nested too deep for a template", async () => {
    const deep = `${'{"a":'.repeat(20_000)}1${"}".repeat(20_000)}`
    const body = `{"messages":[{"role":"user","content":"hi"}],"chat_template_kwargs":{"x":${deep}}}`
    const asJson = await api.send("POST", CHAT, body, { "content-type": "application/json" })
    expect([asJson.status, asJson.json.error.message]).toEqual([400, expect.stringContaining("more than 200 deep")])
  })
})

describe("tokenize and detokenize", () => {
  const cases: [string, string, object, Refusal][] = [
    ["no prompt", "/tokenize", {}, schema("body.prompt", /required/)],
    [
      "unknown model",
      "/tokenize",
      { model: "nope", prompt: "x" },
      { status: 404, type: "NotFoundError", param: "model", says: /nope/ },
    ],
    ["negative ids", "/detokenize", { tokens: [-1] }, schema("body.tokens.0", /at least 0/)],
    ["no ids", "/detokenize", {}, schema("body.tokens", /required/)],
  ]
  test.each(cases)("%s: %s", (_, path, body, refusal) => check(path, body, refusal))
})
