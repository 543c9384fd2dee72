/** A stream says the same as the whole answer, for every field that shapes answers. */
import { expect, test } from "bun:test"
import fc from "fast-check"
import { makeApi } from "../../unit/api/harness.ts"
import type { Json } from "../../unit/api/harness.ts"

// Characters of several bytes, so that a token can end inside one; letters that stop strings are made of.
const REPLY = "ab é 😀 abab<b>ba é😀 tail aab<|eos|>"

interface Case {
  readonly body: Record<string, unknown>
  readonly tokensPerStep: number
  readonly isChat: boolean
}

const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined })
const shared = {
  n: maybe(fc.integer({ min: 1, max: 3 })),
  temperature: fc.constant(1),
  stop: maybe(
    fc.array(fc.constantFrom("ba", "abab<", "é😀", "<b>", "zz", " tail aab"), { minLength: 1, maxLength: 3 }),
  ),
  include_stop_str_in_output: maybe(fc.boolean()),
  stop_token_ids: maybe(fc.constantFrom([0x62], [0x20, 0x74], [])),
  ignore_eos: maybe(fc.boolean()),
  min_tokens: maybe(fc.integer({ min: 0, max: 8 })),
  max_tokens: fc.integer({ min: 8, max: 60 }),
  skip_special_tokens: maybe(fc.boolean()),
  echo: maybe(fc.boolean()),
  return_token_ids: maybe(fc.boolean()),
  return_tokens_as_token_ids: maybe(fc.boolean()),
  stream_interval: maybe(fc.integer({ min: 1, max: 7 })),
  stream_options: maybe(
    fc.record({ include_usage: fc.boolean(), continuous_usage_stats: fc.boolean(), resumable: fc.boolean() }),
  ),
}
const completion = fc.record({
  ...shared,
  prompt: fc.constantFrom<unknown>("say é", [104, 105], ["one", "two"], [[104], [105, 106]]),
  logprobs: maybe(fc.integer({ min: 0, max: 3 })),
})
const chat = fc.record({
  ...shared,
  messages: fc.constantFrom(
    [{ role: "user", content: "hi" }],
    [{ role: "user", content: "hi" }, { role: "assistant", content: "so far" }],
  ),
  add_generation_prompt: maybe(fc.boolean()),
  return_prompt_text: maybe(fc.boolean()),
  logprobs: maybe(fc.boolean()),
  top_logprobs: maybe(fc.integer({ min: 0, max: 3 })),
})
const cases: fc.Arbitrary<Case> = fc.oneof(
  fc.record({ isChat: fc.constant(false), body: completion, tokensPerStep: fc.integer({ min: 1, max: 5 }) }),
  fc.record({ isChat: fc.constant(true), body: chat, tokensPerStep: fc.integer({ min: 1, max: 5 }) }),
)

/** What shapes answers differently from one endpoint to the other. */
function fitted({ isChat, body }: Case): Record<string, unknown> {
  const fields = { ...body }
  if (isChat && fields["logprobs"] !== true) delete fields["top_logprobs"]
  return fields
}

interface Choice {
  text: string
  tokenIds: number[]
  promptTokenIds: unknown
  logprobs: unknown[]
  finish: unknown[]
}

/** A choice of the whole answer, as what a stream of it should join to. */
function wholeChoice(answer: Json, choice: Json, isChat: boolean): Choice {
  return {
    text: isChat ? choice.message.content : choice.text,
    tokenIds: choice.token_ids ?? [],
    promptTokenIds: (isChat ? answer.prompt_token_ids : choice.prompt_token_ids) ?? null,
    logprobs: logprobRows(choice.logprobs, isChat),
    finish: [choice.finish_reason, choice.stop_reason],
  }
}

/** One row a token. */
function logprobRows(logprobs: Json, isChat: boolean): unknown[] {
  if (logprobs === null || logprobs === undefined) return []
  if (isChat) return logprobs.content
  const { tokens, token_logprobs, top_logprobs, text_offset } = logprobs
  return tokens.map((token: string, i: number) => [token, token_logprobs[i], top_logprobs[i], text_offset[i]])
}

function joined(events: readonly Json[], isChat: boolean): Map<number, Choice> {
  const choices = new Map<number, Choice>()
  for (const event of events) {
    for (const part of event.choices ?? []) {
      let choice = choices.get(part.index)
      if (choice === undefined) {
        const promptTokenIds = (isChat ? event.prompt_token_ids : part.prompt_token_ids) ?? null
        choice = { text: "", tokenIds: [], promptTokenIds, logprobs: [], finish: [] }
        choices.set(part.index, choice)
      }
      choice.text += isChat ? (part.delta.content ?? "") : part.text
      choice.tokenIds.push(...(part.token_ids ?? []))
      choice.logprobs.push(...logprobRows(part.logprobs, isChat))
      if (part.finish_reason !== null) choice.finish.push(part.finish_reason, part.stop_reason)
    }
  }
  return choices
}

function eventsOf(text: string): Json[] {
  const data = text.split("\n").filter((line) => line.startsWith("data: ")).map((line) => line.slice(6))
  expect(data.at(-1)).toBe("[DONE]")
  return data.slice(0, -1).map((line) => JSON.parse(line))
}

test("the joined stream is the whole answer", async () => {
  const apis = [1, 2, 3, 4, 5].map((tokensPerStep) => makeApi({ reply: REPLY, tokensPerStep }))
  await fc.assert(
    fc.asyncProperty(cases, async (each) => {
      const { isChat, tokensPerStep } = each
      const { stream_options: streamOptions, ...fields } = fitted(each)
      const api = apis[tokensPerStep - 1]!
      const path = isChat ? "/v1/chat/completions" : "/v1/completions"
      const whole = (await api.post(path, fields)).json
      const streamed = await api.post(path, { ...fields, stream: true, stream_options: streamOptions })
      expect(whole.error).toBeUndefined()
      const events = eventsOf(streamed.text)
      const want = whole.choices.map((choice: Json) => wholeChoice(whole, choice, isChat))
      const got = joined(events, isChat)
      expect([...got.keys()].toSorted((a, b) => a - b)).toEqual(whole.choices.map(({ index }: Json) => index))
      for (const { index } of whole.choices) expect(got.get(index)).toEqual(want[index])
      const { include_usage: includesUsage = false } = (streamOptions ?? {}) as { include_usage?: boolean }
      const last = events.at(-1)
      expect(last.choices.length === 0).toBe(includesUsage)
      if (includesUsage) {
        const { prompt_tokens, completion_tokens, total_tokens } = whole.usage
        expect(last.usage).toMatchObject({ prompt_tokens, completion_tokens, total_tokens })
      }
      expect(api.fake.engine.numUnfinished()).toBe(0)
    }),
    { numRuns: 150 },
  )
}, 60_000)
