import { expect, test } from "bun:test"
import fc from "fast-check"
import { makeFakeEngine } from "../../fake-engine.ts"
import type { FakeEngine } from "../../fake-engine.ts"
import { collect, joined, start } from "../../unit/engine/harness.ts"
import { fakeLogprobs } from "../../unit/engine/fake-core.ts"
import { ToyTokenizer } from "../../toy-tokenizer.ts"

const tokenizer = new ToyTokenizer()

interface Case {
  tokens: number[]
  /** Tokens of each step, repeated until the tokens run out. */
  splits: number[]
  stops: string[]
  includeStopStrInOutput: boolean
  minTokens: number
  endsWithStopToken: boolean
  /** Whether the reader gets to run after a step; repeated. */
  pauses: boolean[]
}

// Few different pieces, so that stop strings are met; bytes of characters, so that tokens end inside them.
const pieces = ["a", "b", "ab", "é", "😀"].map((text) => tokenizer.encode(text, { addSpecialTokens: false }))
const part = fc.oneof(fc.constantFrom(...pieces), fc.constantFrom([0xf0], [0x9f], [0x80], [256]))
const tokens = fc.array(part, { minLength: 1, maxLength: 40 }).map((parts) => parts.flat())
const cases: fc.Arbitrary<Case> = fc.record({
  tokens,
  splits: fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 5 }),
  stops: fc.array(fc.constantFrom("a", "ab", "ba", "abab", "é", "é😀", "😀a", "zz"), { maxLength: 3 }),
  includeStopStrInOutput: fc.boolean(),
  minTokens: fc.integer({ min: 0, max: 12 }),
  endsWithStopToken: fc.boolean(),
  pauses: fc.array(fc.boolean(), { minLength: 1, maxLength: 4 }),
})

/** What a request must give: the whole text decoded at once, cut at the stop string that completes first. */
function expected({ tokens, stops, includeStopStrInOutput, minTokens, endsWithStopToken }: Case) {
  const visible = endsWithStopToken && !includeStopStrInOutput ? tokens.slice(0, -1) : tokens
  const stream = tokenizer.decodeStream({ skipSpecialTokens: true })
  const ends: number[] = []
  let text = ""
  for (const id of visible) {
    text += stream.push(id)
    ends.push(text.length)
  }
  const from = minTokens === 0 ? 0 : (ends[Math.min(minTokens, ends.length) - 1] ?? 0)
  for (let end = from + 1; end <= text.length; end++) {
    const stop = stops.find((candidate) => text.slice(0, end).endsWith(candidate))
    if (stop === undefined) continue
    const numKept = ends.findIndex((tokenEnd) => tokenEnd >= end) + 1
    const cut = includeStopStrInOutput ? end : end - stop.length
    return { text: text.slice(0, cut), tokenIds: tokens.slice(0, numKept), finishReason: "stop", stopReason: stop }
  }
  if (endsWithStopToken) return { text, tokenIds: tokens, finishReason: "stop", stopReason: tokens.at(-1)! }
  return { text, tokenIds: tokens, finishReason: "length", stopReason: null }
}

/** Plays the tokens of the case to every request of the engine. */
async function play({ core, numLive }: FakeEngine, { tokens, splits, pauses, endsWithStopToken }: Case): Promise<void> {
  const ids = core.added.map(({ requestId }) => requestId)
  for (let at = 0, step = 0; at < tokens.length && numLive() > 0; step++) {
    const newTokenIds = tokens.slice(at, at + splits[step % splits.length]!)
    at += newTokenIds.length
    const isLast = at >= tokens.length
    core.emit(
      ids.map((requestId) => ({
        requestId,
        newTokenIds,
        logprobs: newTokenIds.map((id) => fakeLogprobs(id, 1)),
        promptLogprobs: null,
        finishReason: !isLast ? null : endsWithStopToken ? "stop" : "length",
        stopReason: isLast && endsWithStopToken ? tokens.at(-1)! : null,
        events: [],
        prefillStats: null, draft: null,
      })),
    )
    if (pauses[step % pauses.length]) await new Promise((resolve) => setImmediate(resolve))
  }
}

test("deltas join to the final output, however the tokens come and the reader reads", async () => {
  await fc.assert(
    fc.asyncProperty(cases, async (each) => {
      const fake = makeFakeEngine({ stepMs: null })
      const { stops, includeStopStrInOutput, minTokens } = each
      const sampling = { stop: stops, includeStopStrInOutput, minTokens, logprobs: 1 }
      const delta = collect(start(fake.engine, { sampling }))
      const final = collect(start(fake.engine, { sampling, outputKind: "final" }))
      await play(fake, each)
      const want = expected(each)
      for (const outputs of [await delta, await final]) {
        const got = joined(outputs)
        expect(got).toMatchObject(want as never)
        expect(got.numOutputTokens).toBe(want.tokenIds.length)
        expect(got.logprobs.map(({ tokenId }) => tokenId)).toEqual(want.tokenIds)
        expect(outputs.every(({ text }) => text.isWellFormed())).toBe(true)
      }
      expect(fake.engine.numUnfinished()).toBe(0)
    }),
    { numRuns: 400 },
  )
})
