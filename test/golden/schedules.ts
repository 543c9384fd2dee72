/** What schedules may do to a model's requests, for tests that hold its tokens to the reference's. */
import { expect } from "bun:test"
import { KernelLibrary } from "../../ffi/library.ts"
import type { EngineConfig } from "../../src/exec/engine-config.ts"
import { NULL_BLOCK_ID } from "../../src/core/kv/block.ts"
import { engineConfig, modelPathOf, readGolden, TestEngine, type Golden } from "../engine-harness.ts"

/** What plans said while `work` ran: the blocks of each request by group, and how often one was preempted. */
export function watch(engine: TestEngine, work: () => void): { held: number[][]; numPreempted: number } {
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

export async function withEngine(
  dir: string, overrides: Partial<EngineConfig>, work: (engine: TestEngine, golden: Golden) => void,
): Promise<void> {
  const golden = await readGolden(dir)
  const engine = new TestEngine(modelPathOf(dir), overrides)
  try {
    work(engine, golden)
  } finally {
    engine.dispose()
  }
}

/** Holds tokens to the reference's. */
export function expectSame(engine: TestEngine, { prompts, greedy }: Golden): void {
  const generated = engine.generate(prompts, { maxTokens: greedy[0]!.length })
  expect(generated.map(({ tokenIds }) => tokenIds)).toEqual(greedy.map((ids) => [...ids]))
}

/** The same at every instruction level that this machine has. */
export async function expectSameAtEveryLevel(dir: string): Promise<void> {
  const levels = KernelLibrary.open(engineConfig("").libraries.cpu).info()["features"] as string[]
  for (const isa of levels) await withEngine(dir, { isa, numThreads: 1 }, expectSame)
}

/** Holds the memory that a model takes to its plan, to the byte. */
export function expectPlannedMemory(engine: TestEngine, { prompts }: Golden): void {
  const { plan } = engine.model
  const { device, staging, weights, scratch } = engine.model.memory()
  expect(device + staging + weights + scratch).toBe(plan.weightBytes + plan.scratchBytes + plan.kvCacheBytes)
  engine.generate(prompts, { maxTokens: 4 })
  expect(engine.model.memory()).toEqual({ device, staging, weights, scratch })
}

/** Holds tokens to the reference's where the prompts' blocks are cached already. */
export function expectSameAfterPrefix(engine: TestEngine, { prompts, greedy }: Golden): void {
  const sampling = { maxTokens: greedy[0]!.length }
  engine.generate(prompts, sampling)
  const again = engine.generate(prompts, sampling)
  expect(again.map(({ tokenIds }) => tokenIds)).toEqual(greedy.map((ids) => [...ids]))
  expect(Math.max(...again.map(({ numCachedTokens }) => numCachedTokens))).toBeGreaterThanOrEqual(32)
}
