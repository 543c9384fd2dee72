/**
 * A request's tokens depend neither on what else is in the batch, nor on how its prompt is cut into steps, nor on
 * cached prefixes, nor on threads: random mixes against each request alone.
 */
import { describe, expect, test } from "bun:test"
import { Prng } from "../../src/base/prng.ts"
import type { EngineConfig } from "../../src/exec/engine-config.ts"
import { TestEngine, modelPathOf } from "../engine-harness.ts"
import { fixture } from "../fixtures.ts"

const VOCAB = 512

function randomPrompts(prng: Prng, count: number): number[][] {
  const shared = Array.from({ length: 64 }, () => prng.int(3, VOCAB - 1))
  return Array.from({ length: count }, () => {
    const own = Array.from({ length: prng.int(1, 90) }, () => prng.int(3, VOCAB - 1))
    return prng.chance(0.5) ? [...shared.slice(0, prng.int(1, 64)), ...own] : own
  })
}

/** The models' own types, not float32: what is served is what has to agree. */
function engine(dir: string, overrides: Partial<EngineConfig>): TestEngine {
  return new TestEngine(modelPathOf(dir), { dtype: "auto", maxModelLen: 256, ...overrides })
}

const MODELS = ["gguf-llama/BF16", "gguf-llama/Q4_1", "gguf-k-llama/Q4_K_M", "gguf-qwen2/Q8_0", "llama", "qwen2"]

describe.each(MODELS)("%s", (name) => {
  const dir = fixture(`models/${name}`)

  test.skipIf(dir === null).each([12, 8] as const)("tokens are the same in any company (activation bits: %p)", (bits) => {
    const prng = new Prng(7)
    const prompts = randomPrompts(prng, 12)
    const sampling = { maxTokens: 12, temperature: 0.8, seed: 11n }
    const alone = engine(dir!, { activationBits: bits, numThreads: 1, enablePrefixCaching: false, maxNumBatchedTokens: 256 })
    const expected = prompts.map((prompt) => alone.generate([prompt], sampling)[0]!.tokenIds)
    alone.dispose()
    for (const [maxNumBatchedTokens, numThreads, maxNumSeqs] of [[16, 2, 16], [48, 1, 5], [256, 2, 12]] as const) {
      const together = engine(dir!, { activationBits: bits, maxNumBatchedTokens, numThreads, maxNumSeqs })
      for (let round = 0; round < 2; round++)
        expect(together.generate(prompts, sampling).map((result) => result.tokenIds)).toEqual(expected)
      together.dispose()
    }
  })
})
