/** A model whose layers see different numbers of tokens: some give blocks back, and the tokens stay the reference's. */
import { describe, expect, test } from "bun:test"
import { fixture } from "../fixtures.ts"
import { expectSameAfterPrefix, watch, withEngine } from "./schedules.ts"

const dir = fixture("models/gemma2")

describe.skipIf(dir === null)("gemma2", () => {
  test("a long request gives blocks back in the group that has a window", () =>
    withEngine(dir!, { maxNumBatchedTokens: 32 }, (engine) => {
      const { groups } = engine.model
      expect(groups.map(({ spec }) => spec.kind).toSorted()).toEqual(["full", "sliding_window"])
      const windowed = groups.findIndex(({ spec }) => spec.kind === "sliding_window")
      const prompt = Array.from({ length: 300 }, (_, i) => 3 + ((i * 37) % 400))
      const { held } = watch(engine, () => engine.generate([prompt], { maxTokens: 60 }))
      const [last, most] = [held.at(-1)!, Math.max(...held.map((counts) => counts[windowed]!))]
      expect(last[1 - windowed]!).toBeGreaterThanOrEqual(Math.floor(359 / 16))
      expect(last[windowed]!).toBeLessThanOrEqual(4) // a window of 32, whatever part of a block it begins in
      expect(most).toBeLessThanOrEqual(6) // and a step of 32
    }))

  test("gives the reference's tokens when prompts are computed in pieces and requests preempted", () =>
    withEngine(dir!, { maxNumBatchedTokens: 16, numBlocksOverride: 24, maxModelLen: 160 }, (engine, { prompts, greedy }) => {
      const { numPreempted } = watch(engine, () => {
        const generated = engine.generate([...prompts, ...prompts], { maxTokens: greedy[0]!.length })
        expect(generated.map(({ tokenIds }) => tokenIds)).toEqual([...greedy, ...greedy].map((ids) => [...ids]))
      })
      expect(numPreempted).toBeGreaterThan(0)
    }))

  test("gives the reference's tokens after a prefix that is cached", () =>
    withEngine(dir!, {}, expectSameAfterPrefix))
})
