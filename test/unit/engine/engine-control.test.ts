/** Pauses, sleep and aborts, through the real loop and the real scheduler. */
import { describe, expect, test } from "bun:test"
import type { Runner } from "../../../src/engine/runner.ts"
import type { StepResult } from "../../../src/core/schedule-plan.ts"
import { collect, joined, sampleOf, start } from "./harness.ts"
import { letterRunner, makeEngine, promptOf, untilIdle } from "./real-core.ts"

/** Lets the loop run so many steps. */
async function steps(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve))
}

/** A runner that counts what it does, and can be told not to wake. */
function countingRunner() {
  const counts = { tokens: 0, sleeps: [] as number[], wakes: 0, mayWake: true }
  const runner: Runner<StepResult> = {
    ...letterRunner,
    submit(plan) {
      counts.tokens += plan.requests.length
      return letterRunner.submit(plan)
    },
    sleep: (level) => void counts.sleeps.push(level),
    wake() {
      if (!counts.mayWake) throw new Error("no memory")
      counts.wakes += 1
    },
  }
  return { runner, counts }
}

const LONG = { sampling: { maxTokens: 200 }, promptTokenIds: promptOf("a prompt") }
const SHORT = { sampling: { maxTokens: 10 }, promptTokenIds: promptOf("a prompt") }

describe("a pause", () => {
  test("that keeps stops requests where they are; afterwards they end as if nothing had been", async () => {
    for (const clearCache of [false, true]) {
      const { runner, counts } = countingRunner()
      const { engine } = makeEngine({ runner })
      const alone = joined(await collect(start(makeEngine().engine, SHORT)))
      const reading = collect(start(engine, SHORT))
      await steps(4)
      await engine.control.pause("keep", clearCache)
      expect(engine.control.isPaused).toBe(true)
      const { tokens } = counts
      expect(tokens).toBeLessThan(10)
      const later = collect(start(engine, SHORT))
      await steps(20)
      expect([counts.tokens, engine.numUnfinished()]).toEqual([tokens, 2])
      await engine.control.resume()
      expect(engine.control.isPaused).toBe(false)
      expect([joined(await reading), joined(await later)]).toEqual([alone, alone])
    }
  })

  test("that waits lets the running ones finish, and queues those that come", async () => {
    const made = makeEngine()
    const { engine } = made
    const reading = collect(start(engine, SHORT))
    await steps(3)
    const pausing = engine.control.pause("wait", true)
    const later = collect(start(engine, SHORT))
    await pausing
    expect(joined(await reading)).toMatchObject({ finishReason: "length", numOutputTokens: 10 })
    await steps(20)
    expect(engine.numUnfinished()).toBe(1)
    await engine.control.resume()
    expect(joined(await later).numOutputTokens).toBe(10)
    await untilIdle(made)
  })

  test("that aborts ends live requests with what they have", async () => {
    const { engine } = makeEngine()
    const reading = collect(start(engine, LONG))
    await steps(6)
    await engine.control.pause("abort", true)
    const { finishReason, numOutputTokens } = joined(await reading)
    expect(finishReason).toBe("abort")
    expect(numOutputTokens).toBeGreaterThan(0)
    expect(engine.numUnfinished()).toBe(0)
  })

  test("clears the cache, or leaves it", async () => {
    const { engine } = makeEngine()
    const cached = async () => (await collect(start(engine, SHORT))).at(-1)!.numCachedTokens
    await cached()
    for (const [clearCache, expected] of [[false, 4], [true, 0]] as const) {
      await engine.control.pause("wait", clearCache)
      await engine.control.resume()
      expect(await cached()).toBe(expected)
    }
  })

  test("that is resumed before it is there says so", async () => {
    const { engine } = makeEngine()
    const reading = collect(start(engine, LONG))
    await steps(3)
    const pausing = engine.control.pause("wait", true)
    await engine.control.resume()
    await expect(pausing).rejects.toMatchObject({ status: 409 })
    expect(joined(await reading).finishReason).toBe("length")
  })

  test("an abort is carried out in it, and blocks are free", async () => {
    const { engine, core } = makeEngine()
    const leaving = new AbortController()
    const reading = collect(start(engine, LONG, leaving.signal))
    await steps(4)
    await engine.control.pause("keep", false)
    leaving.abort()
    await reading
    await engine.control.resume()
    expect(core.call("isIdle", [])).toBe(true)
  })
})

describe("sleep", () => {
  test("gives memory back at its level, tells the metrics, and queues requests until it ends", async () => {
    for (const level of [1, 2] as const) {
      const { runner, counts } = countingRunner()
      const { engine } = makeEngine({ runner })
      const alone = joined(await collect(start(engine, SHORT)))
      await engine.control.sleep(level, "abort")
      expect([engine.control.isSleeping, engine.control.isPaused, counts.sleeps]).toEqual([true, true, [level]])
      const state = (name: string) => sampleOf(engine.metrics(), "engine_sleep_state", `sleep_state="${name}"`)
      expect([state("awake"), state(level === 1 ? "weights_offloaded" : "discard_all")]).toEqual([0, 1])
      const { tokens } = counts
      const waiting = collect(start(engine, SHORT))
      const leaving = collect(start(engine, SHORT, AbortSignal.timeout(1)))
      await Bun.sleep(5)
      expect(await leaving).toEqual([])
      await engine.control.sleep(level, "abort")
      await expect(engine.control.sleep(level === 1 ? 2 : 1, "abort")).rejects.toMatchObject({ status: 409 })
      await expect(engine.control.resume()).rejects.toMatchObject({ status: 409 })
      await expect(engine.control.pause("keep", false)).rejects.toMatchObject({ status: 409 })
      expect(counts.tokens).toBe(tokens)
      await engine.control.wakeUp()
      expect([engine.control.isSleeping, engine.control.isPaused, counts.wakes]).toEqual([false, false, 1])
      const outputs = await waiting
      expect(joined(outputs)).toEqual(alone)
      expect(outputs.at(-1)!.numCachedTokens).toBe(level === 1 ? 4 : 0)
      expect(state("awake")).toBe(1)
    }
  })

  test("keeps running requests, whose blocks level 2 takes away", async () => {
    const { runner, counts } = countingRunner()
    const { engine } = makeEngine({ runner })
    const alone = joined(await collect(start(makeEngine().engine, SHORT)))
    const reading = collect(start(engine, SHORT))
    await steps(4)
    await engine.control.sleep(2, "keep")
    expect(counts.sleeps).toEqual([2])
    await engine.control.wakeUp()
    expect(joined(await reading)).toEqual(alone)
  })

  test("at level 0 is a pause", async () => {
    const { runner, counts } = countingRunner()
    const { engine } = makeEngine({ runner })
    await engine.control.sleep(0, "abort")
    expect(engine.control.isSleeping).toBe(true)
    await engine.control.wakeUp()
    expect([engine.control.isSleeping, counts.sleeps, counts.wakes]).toEqual([false, [], 0])
    await engine.control.wakeUp()
  })

  test("goes on where there is no memory to wake up into", async () => {
    const { runner, counts } = countingRunner()
    const { engine } = makeEngine({ runner })
    await engine.control.sleep(1, "abort")
    counts.mayWake = false
    const refusal = { status: 503, message: expect.stringContaining("no memory") }
    await expect(engine.control.wakeUp()).rejects.toMatchObject(refusal)
    expect([engine.control.isSleeping, engine.deathReason()]).toEqual([true, null])
    counts.mayWake = true
    await engine.control.wakeUp()
    expect(joined(await collect(start(engine, SHORT))).numOutputTokens).toBe(10)
  })
})

test("requests are aborted by their id", async () => {
  const { engine } = makeEngine()
  const [a, b] = ["a", "b"].map((requestId) => collect(start(engine, { ...LONG, requestId })))
  await steps(4)
  expect(engine.control.abort((id) => id === "a")).toBe(1)
  expect(joined(await a!).finishReason).toBe("abort")
  expect(engine.numUnfinished()).toBe(1)
  expect(engine.control.abort(() => true)).toBe(1)
  expect(joined(await b!).finishReason).toBe("abort")
})
