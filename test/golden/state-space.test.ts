/** Models that keep a state: whatever a schedule does to their requests, the tokens stay the reference's. */
import { describe, expect, test } from "bun:test"
import { KernelLibrary } from "../../ffi/library.ts"
import { engineConfig, TestEngine } from "../engine-harness.ts"
import { fixture } from "../fixtures.ts"
import { expectSameAfterPrefix, watch, withEngine } from "./schedules.ts"

describe.each(["mamba", "mamba2"])("%s", (name) => {
  const dir = fixture(`models/${name}`)
  const skipped = dir === null

  test.skipIf(skipped)("gives the reference's tokens at every instruction level", async () => {
    const levels = KernelLibrary.open(engineConfig("").libraries.cpu).info()["features"] as string[]
    for (const isa of levels) {
      await withEngine(dir!, { isa, numThreads: 1 }, (engine, { prompts, greedy }) => {
        const generated = engine.generate(prompts, { maxTokens: greedy[0]!.length })
        expect(generated.map(({ tokenIds }) => tokenIds)).toEqual(greedy.map((ids) => [...ids]))
      })
    }
  })

  test.skipIf(skipped)("when prompts are computed in pieces that end anywhere", () =>
    withEngine(dir!, { maxNumBatchedTokens: 16, enablePrefixCaching: false }, (engine, { prompts, greedy }) => {
      const generated = engine.generate(prompts, { maxTokens: greedy[0]!.length })
      expect(generated.map(({ tokenIds }) => tokenIds)).toEqual(greedy.map((ids) => [...ids]))
    }))

  test.skipIf(skipped)("when prompts are computed in pieces that leave snapshots, and requests preempted", () =>
    withEngine(dir!, { maxNumBatchedTokens: 23, maxNumSeqs: 8, numBlocksOverride: 6, maxModelLen: 160 },
      (engine, { prompts, greedy }) => {
        const { held, numPreempted } = watch(engine, () => {
          const generated = engine.generate([...prompts, ...prompts], { maxTokens: greedy[0]!.length })
          expect(generated.map(({ tokenIds }) => tokenIds)).toEqual([...greedy, ...greedy].map((ids) => [...ids]))
        })
        expect(numPreempted).toBeGreaterThan(0)
        // One that is read, one that is written, and where two steps are on their way one more.
        expect(Math.max(...held.flat())).toBe(engine.model.depth + 1)
      }))

  test.skipIf(skipped)("in a cache of two states", () =>
    withEngine(dir!, { numBlocksOverride: 3, maxModelLen: 160 }, (engine, { prompts, greedy }) => {
      const generated = engine.generate(prompts, { maxTokens: greedy[0]!.length })
      expect(generated.map(({ tokenIds }) => tokenIds)).toEqual(greedy.map((ids) => [...ids]))
    }))

  test.skipIf(skipped)("after a prefix that is cached", () =>
    withEngine(dir!, {}, expectSameAfterPrefix))

  test.skipIf(skipped)("alone, in pieces and after a cached prefix as in a batch, to the bit", () =>
    withEngine(dir!, { maxNumBatchedTokens: 32, maxNumSeqs: 8 }, (engine, { prompts }) => {
      const sampling = { maxTokens: 20, logprobs: 5 }
      const told = (all: ReturnType<TestEngine["generate"]>) => (
        all.map(({ tokenIds, logprobs }) => ({ tokenIds, logprobs })))
      const together = told(engine.generate(prompts, sampling))
      expect(told(engine.generate(prompts, sampling))).toEqual(together)
      expect(prompts.flatMap((prompt) => told(engine.generate([prompt], sampling)))).toEqual(together)
    }))

  test.skipIf(skipped)("takes the memory that was planned, to the byte", () =>
    withEngine(dir!, { numThreads: 1, enablePrefixCaching: false }, (engine, { prompts }) => {
      const { plan } = engine.model
      const { device, staging, weights, scratch } = engine.model.memory()
      expect(device + staging + weights + scratch).toBe(plan.weightBytes + plan.scratchBytes + plan.kvCacheBytes)
      engine.generate(prompts, { maxTokens: 4 })
      expect(engine.model.memory()).toEqual({ device, staging, weights, scratch })
    }))

  test.skipIf(skipped)("keeps one group of states and nothing else", () =>
    withEngine(dir!, {}, (engine) => {
      const { groups, plan } = engine.model
      expect(groups.map(({ spec, layers }) => [spec.kind, layers.length])).toEqual([["state", 3]])
      expect(plan.bytesPerBlock).toBe(3 * groups[0]!.pageBytes)
    }))

  test.skipIf(skipped)("refuses to draft", () => {
    const speculation = { method: "ngram", numTokens: 3, promptLookupMin: 2, promptLookupMax: 4 } as never
    expect(() => new TestEngine(dir!, { speculation })).toThrow(/--speculative-config.*state/)
  })
})
