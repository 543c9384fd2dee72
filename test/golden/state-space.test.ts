/** Models that keep a state: whatever a schedule does to their requests, the tokens stay the reference's. */
import { describe, expect, test } from "bun:test"
import { TestEngine } from "../engine-harness.ts"
import { fixture } from "../fixtures.ts"
import {
  expectPlannedMemory, expectSame, expectSameAfterPrefix, expectSameAtEveryLevel, watch, withEngine,
} from "./schedules.ts"

// Blocks that are too few for all requests at once, and as many as the longest one needs.
const MODELS: Readonly<Record<string, { fewBlocks: number; leastBlocks: number; kinds: readonly string[] }>> = {
  mamba: { fewBlocks: 6, leastBlocks: 3, kinds: ["state"] },
  mamba2: { fewBlocks: 6, leastBlocks: 3, kinds: ["state"] },
  jamba: { fewBlocks: 12, leastBlocks: 8, kinds: ["full", "state"] },
  bamba: { fewBlocks: 16, leastBlocks: 10, kinds: ["full", "state", "state", "state"] },
  "falcon-h1": { fewBlocks: 12, leastBlocks: 8, kinds: ["full", "state"] },
}

describe.each(Object.entries(MODELS))("%s", (name, { fewBlocks, leastBlocks, kinds }) => {
  const dir = fixture(`models/${name}`)
  const skipped = dir === null

  test.skipIf(skipped)("gives the reference's tokens at every instruction level", () => expectSameAtEveryLevel(dir!))

  test.skipIf(skipped)("when prompts are computed in pieces that end anywhere", () =>
    withEngine(dir!, { maxNumBatchedTokens: 16, enablePrefixCaching: false }, expectSame))

  test.skipIf(skipped)("when prompts are computed in pieces that leave snapshots, and requests preempted", () =>
    withEngine(dir!, { maxNumBatchedTokens: 80, maxNumSeqs: 8, numBlocksOverride: fewBlocks, maxModelLen: 160 },
      (engine, { prompts, greedy }) => {
        const { held, numPreempted } = watch(engine, () => {
          const generated = engine.generate([...prompts, ...prompts], { maxTokens: greedy[0]!.length })
          expect(generated.map(({ tokenIds }) => tokenIds)).toEqual([...greedy, ...greedy].map((ids) => [...ids]))
        })
        expect(numPreempted).toBeGreaterThan(0)
        // One that is read, one that is written, and where two steps are on their way one more.
        const states = kinds.flatMap((kind, g) => (kind === "state" ? held.map((byGroup) => byGroup[g]!) : []))
        expect(Math.max(...states)).toBe(engine.model.depth + 1)
      }))

  test.skipIf(skipped)("in a cache for one request", () =>
    withEngine(dir!, { numBlocksOverride: leastBlocks, maxModelLen: 160 }, expectSame))

  test.skipIf(skipped)("after a prefix that is cached", () =>
    withEngine(dir!, {}, expectSameAfterPrefix))

  test.skipIf(skipped)("alone, in pieces and after a cached prefix as in a batch, to the bit", () =>
    withEngine(dir!, { maxNumBatchedTokens: 72, maxNumSeqs: 8 }, (engine, { prompts }) => {
      const sampling = { maxTokens: 20, logprobs: 5 }
      const told = (all: ReturnType<TestEngine["generate"]>) => (
        all.map(({ tokenIds, logprobs }) => ({ tokenIds, logprobs })))
      const together = told(engine.generate(prompts, sampling))
      expect(told(engine.generate(prompts, sampling))).toEqual(together)
      expect(prompts.flatMap((prompt) => told(engine.generate([prompt], sampling)))).toEqual(together)
    }))

  test.skipIf(skipped)("takes the memory that was planned, to the byte", () =>
    withEngine(dir!, { numThreads: 1, enablePrefixCaching: false }, expectPlannedMemory))

  test.skipIf(skipped)("keeps states in groups of layers", () =>
    withEngine(dir!, {}, (engine) => {
      const found: string[] = engine.model.groups.map(({ spec }) => spec.kind)
      expect(found).toEqual([...kinds])
    }))

  test.skipIf(skipped)("refuses to draft", () => {
    const speculation = { method: "ngram", numTokens: 3, promptLookupMin: 2, promptLookupMax: 4 } as never
    expect(() => new TestEngine(dir!, { speculation })).toThrow(/--speculative-config.*state/)
  })
})
