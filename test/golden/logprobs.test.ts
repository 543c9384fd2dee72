/** What the four modes of log-probabilities tell, through the whole engine on a tiny model. */
import { describe, expect, test } from "bun:test"
import type { LogprobsMode } from "../../src/core/logprobs-mode.ts"
import type { SamplingParams } from "../../src/core/sampling-params.ts"
import { TestEngine, modelPathOf } from "../engine-harness.ts"
import { fixture } from "../fixtures.ts"

const dir = fixture("models/llama")
const PROMPT = [5, 9, 200, 31, 77]
const VOCAB = 512

describe.skipIf(dir === null)("log-probabilities", () => {
  const first = (logprobsMode: LogprobsMode, sampling: Partial<SamplingParams>) => {
    const engine = new TestEngine(modelPathOf(dir!), { logprobsMode, maxModelLen: 64, numThreads: 1 })
    const [result] = engine.generate([PROMPT], { maxTokens: 2, logprobs: VOCAB, ...sampling })
    engine.dispose()
    return result!
  }
  const byId = ({ logprobs }: ReturnType<typeof first>, at = 0): number[] => {
    const { topIds, topLogprobs } = logprobs[at]!
    return Array.from({ length: VOCAB }, (_, id) => topLogprobs[topIds.indexOf(id)]!)
  }
  const softmaxed = (logits: number[]): number[] => {
    const sum = Math.log(logits.reduce((total, x) => total + Math.exp(x), 0))
    return logits.map((x) => x - sum)
  }
  const close = (got: number[], want: number[]) => got.forEach((x, i) => expect(x).toBeCloseTo(want[i]!, 4))
  const biased = { logitBias: new Map([[7, 4]]), temperature: 0.5, seed: 3n }

  test("raw: what the model gave, whatever the request does to it", () => {
    const logits = byId(first("raw_logits", biased))
    close(byId(first("raw_logprobs", biased)), softmaxed(logits))
    close(logits, byId(first("raw_logits", {})))
  })

  test("processed: what the token was drawn from", () => {
    const raw = byId(first("raw_logits", biased))
    const want = raw.map((x, id) => (x + (id === 7 ? 4 : 0)) / 0.5)
    close(byId(first("processed_logits", biased)), want)
    close(byId(first("processed_logprobs", biased)), softmaxed(want))
    const kept = byId(first("processed_logits", { ...biased, topK: 5 }))
    const fifth = want.toSorted((a, b) => b - a)[4]!
    close(kept, want.map((x) => (x >= fifth - 1e-4 ? x : -Infinity)))
  })

  test("processed: a greedy token comes from logits that no temperature has divided", () => {
    close(byId(first("processed_logits", { logitBias: new Map([[7, 4]]) })),
      byId(first("raw_logits", {})).map((x, id) => x + (id === 7 ? 4 : 0)))
  })

  test("the rank counts the tokens that are at least as likely", () => {
    const { logprobs, tokenIds } = first("raw_logprobs", { temperature: 2, seed: 12n })
    for (const [i, entry] of logprobs.entries()) {
      expect(entry.tokenId).toBe(tokenIds[i]!)
      expect(entry.rank).toBe(entry.topLogprobs.filter((x) => x >= entry.logprob).length)
    }
  })

  test("of chosen tokens in place of the likeliest", () => {
    const all = first("raw_logprobs", {})
    const chosen = first("raw_logprobs", { logprobTokenIds: [3, 500, 8], logprobs: 3 })
    expect(chosen.logprobs[0]).toMatchObject({ tokenId: all.tokenIds[0]!, topIds: [3, 500, 8] })
    close(chosen.logprobs[0]!.topLogprobs, [3, 500, 8].map((id) => byId(all)[id]!))
    const logits = first("raw_logits", { logprobTokenIds: [3], logprobs: 1 })
    close(logits.logprobs[0]!.topLogprobs, [byId(first("raw_logits", {}))[3]!])
  })

  test("of the prompt: the modes differ in the softmax alone, and the last judges like the first output", () => {
    const logits = first("raw_logits", { promptLogprobs: VOCAB }).promptLogprobs!
    const raw = first("raw_logprobs", { promptLogprobs: VOCAB }).promptLogprobs!
    const processed = first("processed_logprobs", { ...biased, promptLogprobs: VOCAB }).promptLogprobs!
    expect(processed).toEqual(raw)
    expect(raw.map(({ tokenId }) => tokenId)).toEqual(PROMPT.slice(1))
    const sum = Math.log(logits[0]!.topLogprobs.reduce((total, x) => total + Math.exp(x), 0))
    close([raw[0]!.logprob], [logits[0]!.logprob - sum])
    // The same tokens as an output: asked for one by one.
    const engine = new TestEngine(modelPathOf(dir!), { maxModelLen: 64, numThreads: 1 })
    PROMPT.slice(1).forEach((id, i) => {
      const [result] = engine.generate([PROMPT.slice(0, i + 1)], { maxTokens: 1, logprobs: VOCAB })
      expect(byId(result!)[id]).toBe(raw[i]!.logprob)
    })
    engine.dispose()
  })
})
