/** What the engine does with idle time, through the real loop and the real scheduler. */
import { describe, expect, test } from "bun:test"
import type { Runner } from "../../../src/engine/runner.ts"
import type { StepResult } from "../../../src/core/schedule-plan.ts"
import { collect, start } from "./harness.ts"
import { letterRunner, makeEngine, promptOf, untilIdle } from "./real-core.ts"

/** A runner that has `pieces` to prepare. */
function preparingRunner(pieces: number) {
  const log: string[] = []
  const seen: (readonly number[])[] = []
  const runner: Runner<StepResult> = {
    ...letterRunner,
    submit(plan) {
      if (plan.requests.length > 0) log.push("step")
      return letterRunner.submit(plan)
    },
    prepare(blockIds) {
      seen.push(blockIds)
      if (pieces === 0) return false
      pieces -= 1
      log.push("piece")
      return true
    },
  }
  return { runner, log, seen }
}

const turns = async (count: number) => {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve))
}

const ONE_TOKEN = { sampling: { maxTokens: 1 }, promptTokenIds: promptOf("a prompt") }

describe("an idle engine", () => {
  test("prepares the blocks that come next, until nothing is left", async () => {
    const { runner, log, seen } = preparingRunner(3)
    const { core } = makeEngine({ runner })
    await turns(3)
    expect(log).toEqual([])
    core.start()
    await turns(20)
    expect(log).toEqual(["piece", "piece", "piece"])
    expect(seen.length).toBe(4)
    expect(seen[0]).toEqual(Array.from({ length: 32 }, (_, i) => i + 1))
  })

  test("lets requests come first, and goes on after them with the blocks that are free then", async () => {
    const { runner, log, seen } = preparingRunner(50)
    const made = makeEngine({ runner })
    made.core.start()
    await turns(3)
    const before = log.length
    expect(before).toBeLessThan(10)
    await collect(start(made.engine, ONE_TOKEN))
    await untilIdle(made)
    await turns(100)
    const steps = log.flatMap((entry, i) => (entry === "step" ? [i] : []))
    expect(steps.length).toBeGreaterThan(0)
    // The request waits for one piece at most, and its steps follow each other.
    expect(steps[0]!).toBeLessThanOrEqual(before + 3)
    expect(steps.at(-1)! - steps[0]!).toBe(steps.length - 1)
    expect(log.filter((entry) => entry === "piece").length).toBe(50)
    expect(seen.at(-1)).not.toEqual(seen[0]!) // the prompt's full blocks went to the end of the queue
  })

  test("dies of what fails in it, as of a step", async () => {
    const { engine, core } = makeEngine({
      runner: {
        ...letterRunner,
        prepare() {
          throw new Error("no page")
        },
      },
    })
    core.start()
    expect(engine.deathReason()).toContain("no page")
    await expect(collect(start(engine, ONE_TOKEN))).rejects.toThrow("no page")
  })
})
