/**
 * A prompt's log-probabilities are bit for bit the same, whatever of it is cached, however it is cut into steps, and
 * whoever is preempted on the way; and what is known already is not computed again.
 */
import { describe, expect, test } from "bun:test"
import { Prng } from "../../src/base/prng.ts"
import type { EngineConfig } from "../../src/exec/engine-config.ts"
import { TestEngine, modelPathOf } from "../engine-harness.ts"
import { fixture } from "../fixtures.ts"

const VOCAB = 512
const sampling = { maxTokens: 3, temperature: 0.8, seed: 5n, promptLogprobs: 3 }

/** Prompts of two families, so that some share much and some nothing. */
function randomPrompts(prng: Prng): number[][] {
  const draw = (count: number) => Array.from({ length: count }, () => prng.int(3, VOCAB - 1))
  const stems = [draw(100), draw(100)]
  return Array.from({ length: 10 }, () => [...prng.pick(stems).slice(0, prng.int(1, 100)), ...draw(prng.int(1, 60))])
}

describe.each(["gguf-llama/Q4_1", "qwen2"])("%s", (name) => {
  const dir = fixture(`models/${name}`)
  const engine = (overrides: Partial<EngineConfig>) =>
    new TestEngine(modelPathOf(dir!), { dtype: "auto", maxModelLen: 256, numThreads: 1, ...overrides })
  const prompts = randomPrompts(new Prng(3))

  test.skipIf(dir === null)("alone and in any company", () => {
    const alone = engine({ enablePrefixCaching: false, maxNumBatchedTokens: 256 })
    const expected = prompts.map((prompt) => alone.generate([prompt], sampling)[0]!.promptLogprobs!)
    alone.dispose()
    expected.forEach((entries, i) => expect(entries.map(({ tokenId }) => tokenId)).toEqual(prompts[i]!.slice(1)))
    // 24 blocks of 16 hold two of the longer requests: the others are preempted.
    for (const overrides of [{ maxNumBatchedTokens: 24 }, { maxNumBatchedTokens: 256, numBlocksOverride: 24 }]) {
      const together = engine({ maxNumSeqs: 8, ...overrides })
      together.generate(prompts.slice(0, 4), { maxTokens: 2 })
      for (let round = 0; round < 2; round++)
        expect(together.generate(prompts, sampling).map((result) => result.promptLogprobs!)).toEqual(expected)
      together.dispose()
    }
  }, 60_000)

  test.skipIf(dir === null)("what is cached is kept, what is known is not computed again", () => {
    const prompt = prompts.find(({ length }) => length > 100)!
    const cached = engine({})
    cached.generate([prompt], { maxTokens: 1 })
    const [first] = cached.generate([prompt], sampling)
    const [second] = cached.generate([prompt], sampling)
    const [fewer] = cached.generate([prompt], { ...sampling, promptLogprobs: 1 })
    const [more] = cached.generate([prompt], { ...sampling, promptLogprobs: 4 })
    const [other] = cached.generate([[...prompt.slice(0, 70), 9, 8, 7]], sampling)
    cached.dispose()
    // The KV is there, the outputs that log-probabilities are made of are not.
    expect(first!.numCachedTokens).toBe(0)
    // One less than the whole blocks: the output of their last token judges the token after them.
    expect(second!.numCachedTokens).toBe(Math.floor((prompt.length - 1) / 16) * 16 - 1)
    expect(fewer!.numCachedTokens).toBe(second!.numCachedTokens)
    expect(more!.numCachedTokens).toBe(0)
    expect(other!.numCachedTokens).toBe(63)
    expect(second!.promptLogprobs).toEqual(first!.promptLogprobs)
    expect(fewer!.promptLogprobs!.map(({ topIds }) => topIds.length)).toEqual(first!.promptLogprobs!.map(() => 1))
    expect(other!.promptLogprobs!.slice(0, 69)).toEqual(first!.promptLogprobs!.slice(0, 69))
  }, 60_000)
})
