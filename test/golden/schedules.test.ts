/** Models with latents or experts: whatever a schedule does to their requests, the tokens stay the reference's. */
import { describe, expect, test } from "bun:test"
import { fixture } from "../fixtures.ts"
import { expectPlannedMemory, expectSameAfterPrefix, expectSameAtEveryLevel, watch, withEngine } from "./schedules.ts"

describe.each(["deepseek-v2", "deepseek-v3", "mixtral", "qwen2-moe", "qwen3-moe", "olmoe"])("%s", (name) => {
  const dir = fixture(`models/${name}`)
  const skipped = dir === null

  test.skipIf(skipped)("gives the reference's tokens at every instruction level", () => expectSameAtEveryLevel(dir!))

  test.skipIf(skipped)("when prompts are computed in pieces and requests preempted", () =>
    withEngine(dir!, { maxNumBatchedTokens: 16, numBlocksOverride: 14, maxModelLen: 160 },
      (engine, { prompts, greedy }) => {
        const { numPreempted } = watch(engine, () => {
          const generated = engine.generate([...prompts, ...prompts], { maxTokens: greedy[0]!.length })
          expect(generated.map(({ tokenIds }) => tokenIds)).toEqual([...greedy, ...greedy].map((ids) => [...ids]))
        })
        expect(numPreempted).toBeGreaterThan(0)
      }))

  test.skipIf(skipped)("after a prefix that is cached", () =>
    withEngine(dir!, {}, expectSameAfterPrefix))

  test.skipIf(skipped)("alone as in a batch, to the bit of every log-probability", () =>
    withEngine(dir!, {}, (engine, { prompts }) => {
      const sampling = { maxTokens: 12, logprobs: 5 }
      const together = engine.generate(prompts, sampling)
      const alone = prompts.map((prompt) => engine.generate([prompt], sampling)[0]!)
      const told = (all: typeof alone) => all.map(({ tokenIds, logprobs }) => ({ tokenIds, logprobs }))
      expect(told(alone)).toEqual(told(together))
    }))

  test.skipIf(skipped)("takes the memory that was planned, to the byte", () =>
    withEngine(dir!, { numThreads: 1, enablePrefixCaching: false }, expectPlannedMemory))
})
