/** No work above a size is done on the thread that answers requests, whichever endpoint asks for it. */
import { afterEach, beforeEach, expect, spyOn, test } from "bun:test"
import { MAX_WORK_HERE } from "../../../../src/api/work/offloaded-text-work.ts"
import { LocalTextWork } from "../../../../src/api/work/text-work.ts"
import type { TextThreads, TextWork } from "../../../../src/api/work/text-work.ts"
import { ChatTemplate } from "../../../../src/text/chat-template.ts"
import { ChatTemplates } from "../../../../src/text/chat-templates.ts"
import { ToyTokenizer } from "../../../toy-tokenizer.ts"
import { makeApi, type Api } from "../harness.ts"

/** Stands for another thread: what runs in it is not seen by the spies. */
class OtherThread implements TextWork {
  readonly #work = new LocalTextWork(new ToyTokenizer(), new ChatTemplates())
  isRunning = false
  readonly sizes: number[] = []

  async #run<T>(size: number, work: () => Promise<T>): Promise<T> {
    this.sizes.push(size)
    await Bun.sleep(0)
    this.isRunning = true
    // It does not wait for anything.
    const result = work()
    this.isRunning = false
    // As everything that goes from thread to thread.
    return structuredClone(await result)
  }

  parse: TextWork["parse"] = (...args) => this.#run(args[0].length, () => this.#work.parse(...args))
  render: TextWork["render"] = (job) => this.#run(JSON.stringify(job).length, () => this.#work.render(job))
  encode: TextWork["encode"] = (...args) => this.#run(args[0].length, () => this.#work.encode(...args))
  count: TextWork["count"] = (...args) => this.#run(args[0].length, () => this.#work.count(...args))
  tokenize: TextWork["tokenize"] = (...args) => this.#run(args[0].length, () => this.#work.tokenize(...args))
  decode: TextWork["decode"] = (ids) => this.#run(ids.length, () => this.#work.decode(ids))
}

let thread: OtherThread
let threads: TextThreads
let api: Api
/** What was done here in each turn of the event loop. */
let turns: number[]
let turn = 0
const spies: { mockRestore(): void }[] = []

function note(size: number): void {
  if (thread.isRunning) return
  if (turn === 0) setImmediate(() => (turns.push(turn), (turn = 0)))
  turn += size
}

beforeEach(() => {
  thread = new OtherThread()
  threads = { texts: thread, templates: thread }
  turns = []
  turn = 0
  api = makeApi({ reply: "ok<|eos|>", model: { maxModelLen: 1_000_000 }, api: { textThreads: threads } })
  const { tokenizer } = api.fake
  const { encode, decode } = tokenizer
  const parse = JSON.parse
  const { render } = ChatTemplate.prototype
  spies.push(
    spyOn(tokenizer, "encode").mockImplementation((text, options) => {
      note(text.length)
      return encode.call(tokenizer, text, options)
    }),
    spyOn(tokenizer, "decode").mockImplementation((ids, options) => {
      note(ids.length)
      return decode.call(tokenizer, ids, options)
    }),
    spyOn(ChatTemplate.prototype, "render").mockImplementation(function (this: ChatTemplate, input) {
      note(JSON.stringify(input).length)
      return render.call(this, input)
    }),
    spyOn(JSON, "parse").mockImplementation((text, reviver) => {
      note(text.length)
      return parse(text, reviver)
    }),
  )
})

afterEach(() => {
  for (const spy of spies.splice(0)) spy.mockRestore()
})

/** Leaves the answer as it is, because to parse it would be seen. */
async function send(path: string, body: object): Promise<{ status: number; answer: string }> {
  const init = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) }
  const response = await api.app.handle(new Request(`http://localhost${path}`, init))
  return { status: response.status, answer: await response.text() }
}

const text = (units: number): string => "ab cd ".repeat(Math.ceil(units / 6)).slice(0, units)
const LONG = text(2 * MAX_WORK_HERE)
const SHORT = text(600)
const say = (content: unknown) => ({ role: "user", content })
const max_tokens = 1
const calls = (text: string) => [
  say("a"),
  { role: "assistant", tool_calls: [{ id: "a", type: "function", function: { name: "f", arguments: text } }] },
  { role: "tool", tool_call_id: "a", content: "b" },
]
const MANY = JSON.stringify({ list: Array(9000).fill({}) })
const TOOLS = Array.from({ length: 99 }, (_, i) => ({
  type: "function", function: { name: `f${i}`, description: SHORT, parameters: { type: "object", properties: {} } },
}))

test.each<[string, string, object]>([
  ["one long prompt", "/v1/completions", { prompt: LONG, max_tokens }],
  ["a thousand prompts", "/v1/completions", { prompt: Array.from({ length: 1000 }, () => SHORT), max_tokens }],
  ["prompts as ids", "/v1/completions",
    { prompt: Array.from({ length: 9 }, () => Array(20_000).fill(97)), max_tokens }],
  ["an echo of ids", "/v1/completions", { prompt: Array(70_000).fill(97), echo: true, max_tokens: 0 }],
  ["a truncated prompt", "/v1/completions", { prompt: LONG, truncate_prompt_tokens: 20, max_tokens }],
  ["a long message", "/v1/chat/completions", { messages: [say(LONG)], max_tokens }],
  ["many messages", "/v1/chat/completions", { messages: Array.from({ length: 999 }, () => say(SHORT)), max_tokens }],
  ["many conversations", "/v1/chat/completions/batch",
    { messages: Array.from({ length: 200 }, () => [say(SHORT)]), max_tokens }],
  ["long arguments of a call", "/v1/chat/completions",
    { messages: calls(MANY), max_tokens }],
  ["long arguments of a response's call", "/v1/responses", {
    input: [{ type: "function_call", call_id: "a", name: "f", arguments: MANY },
      { type: "function_call_output", call_id: "a", output: "b" }],
    max_output_tokens: max_tokens,
  }],
  ["many tools", "/v1/chat/completions", { messages: [say("a")], tools: TOOLS, tool_choice: "none", max_tokens }],
  ["many variables", "/v1/chat/completions",
    { messages: [say("a")], chat_template_kwargs: { list: Array(2000).fill({}) }, max_tokens }],
  ["documents", "/v1/chat/completions", { messages: [say("a")], documents: [{ text: LONG }], max_tokens }],
  ["where a cache was missed", "/v1/chat/completions", { messages: [say(LONG)], return_cache_miss: true, max_tokens }],
  ["an invocation", "/invocations", { messages: [say(LONG)], max_tokens }],
  ["a response", "/v1/responses", { input: LONG, max_output_tokens: max_tokens }],
  ["a response cut to fit", "/v1/responses",
    { input: Array.from({ length: 20 }, () => say(LONG)), truncation: "auto", max_output_tokens: max_tokens }],
  ["a response's tokens", "/v1/responses/input_tokens", { input: LONG }],
  ["a message", "/v1/messages", { messages: [say(LONG)], max_tokens }],
  ["a message's tokens", "/v1/messages/count_tokens", { messages: [say(LONG)] }],
  ["a rendered prompt", "/v1/completions/render", { prompt: LONG }],
  ["a rendered chat", "/v1/chat/completions/render", { messages: [say(LONG)] }],
  ["a rendered message", "/v1/messages/render", { messages: [say(LONG)], max_tokens }],
  ["a rendered response", "/v1/responses/render", { input: LONG }],
  ["a text", "/tokenize", { prompt: LONG }],
  ["a conversation", "/tokenize", { messages: [say(LONG)] }],
  ["tokens", "/detokenize", { tokens: Array(70_000).fill(97) }],
])("%s: %s", async (_, path, body) => {
  const { status, answer } = await send(path, body)
  await Bun.sleep(0)
  expect({ status, answer: status === 200 ? "" : answer }).toEqual({ status: 200, answer: "" })
  expect(Math.max(0, ...turns)).toBeLessThanOrEqual(MAX_WORK_HERE)
  expect(Math.max(...thread.sizes)).toBeGreaterThan(0)
})

test("a body that its schema refuses is parsed there too", async () => {
  const { status, json } = await api.post("/v1/completions", { prompt: Array.from({ length: 60_000 }, () => ({})) })
  expect([status, json.error.param]).toEqual([400, "body.prompt.0"])
  expect(turns).toEqual([])
})

test("many words to avoid are refused before they are encoded", async () => {
  const { status, json } = await api.post("/v1/completions", { prompt: "a", bad_words: [LONG] })
  expect([status, json.error.param]).toEqual([400, "bad_words"])
  await Bun.sleep(0)
  expect(Math.max(0, ...turns)).toBeLessThanOrEqual(MAX_WORK_HERE)
})

test("numbers of a large body go into the prompt as they are written", async () => {
  const body = `{"messages":[{"role":"user","content":"${LONG}"},{"role":"assistant","tool_calls":[{"id":"a",
    "type":"function","function":{"name":"f","arguments":{"id":2512292042121000001,"x":1.0}}}]}],
    "chat_template":"{{ messages[1].tool_calls[0].function.arguments | tojson }}"}`
  const trusting = makeApi({ api: { textThreads: threads, trustRequestChatTemplate: true } })
  const { json } = await trusting.send("POST", "/v1/chat/completions/render", body, { "content-type": "application/json" })
  expect(new ToyTokenizer().decode(json.token_ids)).toBe('{"id": 2512292042121000001, "x": 1.0}')
  expect(thread.sizes[0]).toBe(body.length)
})

test("a template that came with a request is rendered there, however short it is", async () => {
  const trusting = makeApi({ api: { textThreads: threads, trustRequestChatTemplate: true } })
  const body = { messages: [say("a")], chat_template: "{{ messages[0].content }}", max_tokens }
  const { status } = await trusting.post("/v1/chat/completions", body)
  expect([status, thread.sizes.length]).toEqual([200, 1])
})

test("arguments given as text may hold as much as a body", async () => {
  const text = (numObjects: number) => `{"list":[${Array(numObjects).fill("{}").join(",")}]}`
  const ask = (...args: string[]) => api.post("/v1/chat/completions", { messages: args.flatMap(calls), max_tokens })
  const { status, json } = await ask(text(100_000), text(50_000))
  expect([status, json.error.param]).toEqual([400, "messages"])
  expect(json.error.message).toBe(
    "The arguments of earlier tool calls hold more than 131072 values (see --max-body-values).")
  expect((await ask(text(100_000))).status).toBe(200)
})

test("little is done here, at once", async () => {
  const { status } = await api.post("/v1/completions", { prompt: "a", max_tokens })
  expect([status, thread.sizes]).toEqual([200, []])
})

test("a prompt that is too long ends the request before the next one is encoded", async () => {
  const small = makeApi({ model: { maxModelLen: 50_000 }, api: { textThreads: threads } })
  const { status, json } = await small.post("/v1/completions", { prompt: [text(60_000), text(60_000)] })
  expect([status, json.error.message]).toEqual([400, expect.stringContaining("50000 tokens")])
  expect(thread.sizes).toHaveLength(2)
})

test.each([
  ["/v1/completions", { prompt: Array.from({ length: 50 }, () => LONG), max_tokens }],
  ["/v1/chat/completions/batch", { messages: Array.from({ length: 50 }, () => [say(LONG)]), max_tokens }],
])("of a client that is gone no more prompts are encoded: %s", async (path, body) => {
  const gone = new AbortController()
  const init = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) }
  const { encode } = thread
  let numEncoded = 0
  thread.encode = (...args) => {
    if (++numEncoded === 3) gone.abort()
    return encode(...args)
  }
  const { status } = await api.app.handle(new Request(`http://localhost${path}`, { ...init, signal: gone.signal }))
  expect([status, numEncoded]).toEqual([499, 3])
})
