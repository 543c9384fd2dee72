/** In what order a request's parameters change its logits, through the whole engine on a tiny model. */
import { describe, expect, test } from "bun:test"
import type { LogprobsMode } from "../../src/core/logprobs-mode.ts"
import type { SamplingParams } from "../../src/core/sampling-params.ts"
import { TestEngine, modelPathOf } from "../engine-harness.ts"
import { fixture } from "../fixtures.ts"

const dir = fixture("models/llama")
const PROMPT = [5, 9, 200, 31, 77]
const VOCAB = 512

describe.skipIf(dir === null)("logits", () => {
  const run = (logprobsMode: LogprobsMode, sampling: Partial<SamplingParams>) => {
    const engine = new TestEngine(modelPathOf(dir!), { logprobsMode, maxModelLen: 64, numThreads: 1 })
    const [result] = engine.generate([PROMPT], { maxTokens: 4, logprobs: VOCAB, ...sampling })
    engine.dispose()
    const logits = result!.logprobs.map(({ topIds, topLogprobs }) =>
      Array.from({ length: VOCAB }, (_, id) => topLogprobs[topIds.indexOf(id)]!))
    return { tokenIds: result!.tokenIds, logits }
  }

  test("biases come before penalties, those before the temperature, and the raw ones see none of it", () => {
    const bias = new Map([[5, 30], [9, -30], [100, 3]])
    const penalties = { repetitionPenalty: 1.5, frequencyPenalty: 0.4, presencePenalty: 0.7 }
    const sampling = { logitBias: bias, ...penalties, temperature: 0.5, seed: 3n }
    const raw = run("raw_logits", sampling)
    const processed = run("processed_logits", sampling)
    expect(processed.tokenIds).toEqual(raw.tokenIds)
    raw.logits.forEach((logits, at) => {
      const output = raw.tokenIds.slice(0, at)
      logits.forEach((logit, id) => {
        let want = logit + (bias.get(id) ?? 0)
        if (PROMPT.includes(id) || output.includes(id)) want = want > 0 ? want / 1.5 : want * 1.5
        const count = output.filter((token) => token === id).length
        want -= 0.4 * count + (count > 0 ? 0.7 : 0)
        expect(processed.logits[at]![id]!).toBeCloseTo(want / 0.5, 3)
      })
    })
    expect(raw.logits[0]).toEqual(run("raw_logits", {}).logits[0]!)
  })

  test("of all ids that end a request are -Infinity until min_tokens, whatever speaks for them", () => {
    const ending = { eosTokenId: 2, extraEosTokenIds: [9], stopTokenIds: [7], ignoreEos: false }
    const sampling = { ...ending, logitBias: new Map([[2, 100]]) }
    expect(run("processed_logits", sampling).tokenIds).toEqual([2])
    const { tokenIds, logits } = run("processed_logits", { ...sampling, minTokens: 2 })
    expect(tokenIds).toHaveLength(3)
    expect(tokenIds[2]).toBe(2)
    for (const [at, isOpen] of [false, false, true].entries()) {
      for (const id of [2, 7, 9]) expect(Number.isFinite(logits[at]![id])).toBe(isOpen)
    }
  })
})
