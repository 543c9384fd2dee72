/** A model whose layers see different numbers of tokens: some give blocks back, and the tokens stay the reference's. */
import { describe, expect, test } from "bun:test"
import { NULL_BLOCK_ID } from "../../src/core/kv/block.ts"
import type { EngineConfig } from "../../src/exec/engine-config.ts"
import { modelPathOf, readGolden, TestEngine } from "../engine-harness.ts"
import { fixture } from "../fixtures.ts"

const dir = fixture("models/gemma2")

/** What plans said while `work` ran. */
function watch(engine: TestEngine, work: () => void): { held: number[][]; numPreempted: number } {
  const held: number[][] = []
  let numPreempted = 0
  const schedule = engine.scheduler.schedule.bind(engine.scheduler)
  engine.scheduler.schedule = (maxPromptTokens) => {
    const plan = schedule(maxPromptTokens)
    numPreempted += plan.preemptedRequestIds.length
    for (const { blockIdsByGroup } of plan.requests)
      held.push(blockIdsByGroup.map((ids) => ids.filter((id) => id !== NULL_BLOCK_ID).length))
    return plan
  }
  work()
  engine.scheduler.schedule = schedule
  return { held, numPreempted }
}

async function withEngine(
  overrides: Partial<EngineConfig>,
  work: (engine: TestEngine, golden: Awaited<ReturnType<typeof readGolden>>) => void,
): Promise<void> {
  const golden = await readGolden(dir!)
  const engine = new TestEngine(modelPathOf(dir!), overrides)
  try {
    work(engine, golden)
  } finally {
    engine.dispose()
  }
}

describe.skipIf(dir === null)("gemma2", () => {
  test("a long request gives blocks back in the group that has a window", () =>
    withEngine({ maxNumBatchedTokens: 32 }, (engine) => {
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
    withEngine({ maxNumBatchedTokens: 16, numBlocksOverride: 24, maxModelLen: 160 }, (engine, { prompts, greedy }) => {
      const { numPreempted } = watch(engine, () => {
        const generated = engine.generate([...prompts, ...prompts], { maxTokens: greedy[0]!.length })
        expect(generated.map(({ tokenIds }) => tokenIds)).toEqual([...greedy, ...greedy].map((ids) => [...ids]))
      })
      expect(numPreempted).toBeGreaterThan(0)
    }))

  test("gives the reference's tokens after a prefix that is cached", () =>
    withEngine({}, (engine, { prompts, greedy }) => {
      const sampling = { maxTokens: greedy[0]!.length }
      engine.generate(prompts, sampling)
      const again = engine.generate(prompts, sampling)
      expect(again.map(({ tokenIds }) => tokenIds)).toEqual(greedy.map((ids) => [...ids]))
      expect(Math.max(...again.map(({ numCachedTokens }) => numCachedTokens))).toBeGreaterThanOrEqual(32)
    }))
})
