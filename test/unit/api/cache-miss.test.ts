/** Where a prompt first differs from the best cached prefix. */
import { describe, expect, test } from "bun:test"
import { Value } from "@sinclair/typebox/value"
import { PrefixHistory } from "../../../src/api/cache-miss/prefix-history.ts"
import { CacheMiss } from "../../../src/api/schema/cache-miss.ts"
import { makeLog } from "../../../src/base/log.ts"
import { ChatTemplate } from "../../../src/text/chat-template.ts"
import { makeApi } from "./harness.ts"
import type { Api, ApiSetup, Json } from "./harness.ts"

const CHAT = "/v1/chat/completions"
const TEMPLATE = "{% if tools %}<tools>{{ tools | tojson }}</tools>{% endif %}" +
  "{% for m in messages %}<{{ m.role }}>{% if m.reasoning %}({{ m.reasoning }}){% endif %}{{ m.content | trim }}" +
  "{% for c in m.tool_calls or [] %}={{ c.function.name }}{{ c.function.arguments | tojson }}{% endfor %}{% endfor %}" +
  "{% if add_generation_prompt %}<assistant>{% endif %}"

const serving = (setup: ApiSetup = {}) => makeApi({
  chatTemplate: ChatTemplate.parse(TEMPLATE), reply: "ok<|eos|>", ...setup, model: { maxModelLen: 4096 },
})

async function missOf(api: Api, body: object, path = CHAT, headers: Record<string, string> = {}): Promise<Json> {
  const { status, json } = await api.post(path, { return_cache_miss: true, ...body }, headers)
  expect([status, json.error ?? null]).toEqual([200, null])
  expect([...Value.Errors(CacheMiss, json.cache_miss)]).toEqual([])
  return json.cache_miss
}

/** The part of the prompt before the token that is told, decoded. */
const before = (api: Api, miss: Json): string =>
  api.fake.tokenizer.decode(api.fake.core.added.at(-1)!.promptTokenIds.slice(0, miss.token))

describe("a chat", () => {
  const system = { role: "system", content: " You help. " }
  const ask = { role: "user", content: "What is 1 + 2?" }
  const call = (json: string) => ({ id: "c", type: "function", function: { name: "add", arguments: json } })
  const calling = (json: string) => ({ role: "assistant", content: null, tool_calls: [call(json)] })
  const result = { role: "tool", tool_call_id: "c", content: "3" }
  const history = [system, ask, calling('{"a": 1, "b": 2}'), result]

  test("without an earlier prompt differs from the first token on", async () => {
    const miss = await missOf(serving(), { messages: [ask] })
    expect(miss).toEqual({ token: 0, message: null, earlier: null, now: "<user>What is 1 ", cached_tokens: 0 })
  })

  test("that was sent before differs nowhere", async () => {
    const api = serving()
    await missOf(api, { messages: history })
    expect(await missOf(api, { messages: history }))
      .toMatchObject({ token: null, message: null, earlier: null, now: null })
  })

  test("tells the message, the token, and both sides of the difference", async () => {
    const cases: [messages: object[], message: number | null, before: string, earlier: string, now: string][] = [
      [[{ ...system, content: "You helps." }, ...history.slice(1)], 0, "<system>You help", ".<user>", "s.<user>"],
      [[system, { ...ask, content: "What is 1 - 2?" }, ...history.slice(2)], 1, "What is 1 ", "+ 2?", "- 2?"],
      [[system, ask, calling('{"a": 1, "b": 3}'), result], 2, '"b": ', "2}", "3}"],
      [[system, ask, { ...calling("{}"), tool_calls: [] }, result], 2, "2?<assistant>", "=add", "<tool>"],
      [[system, ask, { ...calling('{"a": 1, "b": 2}'), reasoning: "hm" }, result], 2, "<assistant>", "=add", "(hm)"],
      [[...history.slice(0, 3), { ...result, content: "4" }], 3, "<tool>", "3<", "4<"],
      [[system, ask, { ...ask, role: "observer" }], 2, "?<", "assistant>=", "observer>"],
      [[ask], null, "<", "system", "user"],
    ]
    for (const [messages, message, head, earlier, now] of cases) {
      const api = serving()
      await missOf(api, { messages: history })
      const miss = await missOf(api, { messages })
      expect([miss.message, before(api, miss).endsWith(head)]).toEqual([message, true])
      expect([miss.earlier.startsWith(earlier), miss.now.startsWith(now)]).toEqual([true, true])
    }
  })

  test("that goes on from an answer tells where the answer was written otherwise, or what is new", async () => {
    const api = serving()
    await missOf(api, { messages: [ask] })
    const same = await missOf(api, { messages: [ask, { role: "assistant", content: "ok" }, ask] })
    // The end of the answer is no text of the template's.
    expect(before(api, same)).toBe("<user>What is 1 + 2?<assistant>ok")
    expect(same.now).toStartWith("<user>")
    const other = await missOf(api, { messages: [ask, { role: "assistant", content: "o k" }, ask] })
    expect([other.message, before(api, other)]).toEqual([1, "<user>What is 1 + 2?<assistant>o"])
  })

  test("takes the prompt with most in common, not the last one", async () => {
    const api = serving()
    for (const messages of [history, [ask], [{ ...system, content: "Other" }]]) await missOf(api, { messages })
    const miss = await missOf(api, { messages: [...history.slice(0, 3), { ...result, content: "4" }] })
    expect(miss.message).toBe(3)
  })

  test("whose tools differ parts before its first message", async () => {
    const api = serving({ api: { toolParser: "hermes" } })
    const tools = (name: string) => [{ type: "function", function: { name } }]
    await missOf(api, { messages: history, tools: tools("add") })
    const miss = await missOf(api, { messages: history, tools: tools("sub") })
    expect(miss).toMatchObject({ message: null })
    expect(miss.now).toStartWith("sub")
  })

  test("knows no message where marks change the prompt, or part of it was cut off", async () => {
    const lengths = "{% for m in messages %}{{ m.content }}{{ m.content | length }}{% endfor %}"
    const api = serving({ chatTemplate: ChatTemplate.parse(lengths) })
    await missOf(api, { messages: [ask] })
    expect(await missOf(api, { messages: [{ ...ask, content: "What was 1 + 2?" }] }))
      .toMatchObject({ token: 5, message: null })
    const cut = serving()
    await missOf(cut, { messages: history, truncate_prompt_tokens: 20 })
    const longer = { messages: [...history, ask], truncate_prompt_tokens: 20 }
    expect(await missOf(cut, longer)).toMatchObject({ message: null })
  })

  test("is told in streams, by completions, responses and messages too", async () => {
    const streamed = await serving().post(CHAT, { messages: [ask], stream: true, return_cache_miss: true })
    const told = streamed.events.filter((event) => event.cache_miss !== undefined)
    expect(told).toHaveLength(1)
    expect(told[0].cache_miss).toMatchObject({ token: 0, message: null })

    const api = serving()
    await missOf(api, { prompt: "abc", max_tokens: 1 }, "/v1/completions")
    expect(await missOf(api, { prompt: "abd", max_tokens: 1 }, "/v1/completions"))
      .toEqual({ token: 3, message: null, earlier: expect.stringMatching(/^c/), now: "d", cached_tokens: 0 })
    await missOf(api, { input: [ask] }, "/v1/responses")
    expect((await missOf(api, { input: [ask], instructions: "Be brief" }, "/v1/responses")).token).toBe(1)
    const message = { max_tokens: 9, messages: [ask, { role: "assistant", content: "3" }, ask] }
    expect(await missOf(api, message, "/v1/messages")).toMatchObject({ message: 1 })
    const { text } = await api.post("/v1/messages", { ...message, stream: true, return_cache_miss: true })
    expect(text.split("\n\n").filter((event) => event.includes("\"cache_miss\":{"))).toEqual([
      expect.stringMatching(/^event: message_start\n/),
    ])
    const plain = await serving().post(CHAT, { messages: [ask] })
    expect("cache_miss" in plain.json).toBe(false)
  })

  test("is told of one prompt only", async () => {
    const { status, json } = await serving().post("/v1/completions", { prompt: ["a", "b"], return_cache_miss: true })
    expect([status, json.error.param]).toEqual([400, "return_cache_miss"])
  })

  test("is compared with prompts of the same key and salt only", async () => {
    const api = serving({ api: { apiKeys: ["one", "two"] } })
    const key = (name: string) => ({ authorization: `Bearer ${name}` })
    await missOf(api, { messages: [ask] }, CHAT, key("one"))
    expect((await missOf(api, { messages: [ask] }, CHAT, key("two"))).token).toBe(0)
    expect((await missOf(api, { messages: [ask], cache_salt: "s" }, CHAT, key("one"))).token).toBe(0)
    expect((await missOf(api, { messages: [ask] }, CHAT, key("one"))).token).toBeNull()
  })

  test("has nothing to be compared with once the cache was reset", async () => {
    for (const path of ["/reset_prefix_cache", "/pause"]) {
      const api = serving()
      await missOf(api, { messages: [ask] })
      expect((await api.send("POST", path)).status).toBe(200)
      await api.send("POST", "/resume")
      expect((await missOf(api, { messages: [ask] })).token).toBe(0)
    }
  })

  test("is in the debug log of a server that logs so, without its text", async () => {
    const lines: string[] = []
    const log = makeLog({ level: "debug", write: (line) => lines.push(line) })
    const api = serving({ api: { logsCacheMisses: true, log } })
    await api.post(CHAT, { messages: [ask] })
    await api.post(CHAT, { messages: [{ ...ask, content: "What was 1 + 2?" }] })
    const told = lines.filter((line) => line.includes("first difference to the best cached prefix"))
    expect(told).toHaveLength(2)
    expect(told[1]).toContain("token=11 message=0 cached_tokens=")
    expect(told.join()).not.toContain("What")
  })
})

describe("the history", () => {
  test("keeps what goes on from a prefix in its place, and drops the oldest", () => {
    const history = new PrefixHistory({ maxPrefixes: 2, maxTokens: 10 })
    const matched = (...ids: number[]) => history.best("g", ids)?.numMatched
    history.add("g", [1, 2, 3])
    history.add("g", [1, 2, 3, 4])
    history.add("g", [5, 6])
    expect([matched(1, 2, 3, 4, 9), matched(5, 6, 7), matched(7)]).toEqual([4, 2, 0])
    history.add("g", [7])
    expect([matched(1, 2), matched(5, 6), matched(7)]).toEqual([0, 2, 1])
    expect(history.best("other", [7])).toBeNull()
    history.add("g", Array.from({ length: 20 }, (_, i) => i))
    expect(history.best("g", [0, 1])!.tokenIds).toHaveLength(10)
    expect(matched(7)).toBe(0)
    history.clear()
    expect(history.best("g", [7])).toBeNull()
  })
})
