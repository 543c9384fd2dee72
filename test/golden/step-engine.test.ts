import { expect, test } from "bun:test"
import { StepEngine } from "../../src/bench/step-engine.ts"
import { engineConfig, modelPathOf } from "../engine-harness.ts"
import { fixture } from "../fixtures.ts"

const dir = fixture("models/llama")

test.skipIf(dir === null)("steps after prompts that were not computed are those after prompts that were", () => {
  const engine = StepEngine.load(engineConfig(modelPathOf(dir!), { maxModelLen: 128, maxNumBatchedTokens: 64 }))
  try {
    const prompts = [40, 50, 3].map((length, i) => Array.from({ length }, (_, at) => 3 + ((at * 7 + i * 31) % 400)))
    engine.addComputed(prompts, 9)
    const after = engine.run()
    expect(after.length).toBeGreaterThan(4)
    expect(after.every(({ isDecode }) => isDecode)).toBe(true)
    for (const prompt of prompts) engine.add(prompt.map((id) => id + 1), 9)
    const computed = engine.run().filter(({ isDecode }) => isDecode)
    const costs = (steps: typeof after) => steps.slice(-4).map(({ cost }) => cost)
    expect(costs(after)).toEqual(costs(computed))
  } finally {
    engine.dispose()
  }
})

test.skipIf(dir === null)("a prompt's logits are what its log-probabilities are made of, in any number of steps", () => {
  const prompt = Array.from({ length: 100 }, (_, i) => 3 + ((i * 13) % 400))
  for (const [maxNumBatchedTokens, maxNumSeqs] of [[64, 4], [40, 40]] as const) {
    const overrides = { maxModelLen: 128, maxNumBatchedTokens, maxNumSeqs, enablePrefixCaching: false }
    const engine = StepEngine.load(engineConfig(modelPathOf(dir!), overrides))
    try {
      const { vocabSize } = engine.model.traits
      const logprobs: number[] = []
      for (const piece of engine.promptLogits(prompt)) {
        expect(piece.length % vocabSize).toBe(0)
        expect(piece.length / vocabSize).toBeLessThanOrEqual(maxNumBatchedTokens)
        for (let at = 0; at < piece.length; at += vocabSize) {
          const row = [...piece.subarray(at, at + vocabSize)]
          const largest = Math.max(...row)
          const norm = largest + Math.log(row.reduce((sum, logit) => sum + Math.exp(logit - largest), 0))
          logprobs.push(row[prompt[logprobs.length + 1]!]! - norm)
        }
      }
      const scores = engine.score(prompt)
      expect(logprobs.length).toBe(scores.length)
      logprobs.forEach((logprob, i) => expect(logprob).toBeCloseTo(scores[i]!, 5))
    } finally {
      engine.dispose()
    }
  }
})
