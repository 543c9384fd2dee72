/** The front half over the real loop and the real scheduler, with a runner that derives tokens from tokens. */
import { describe, expect, test } from "bun:test"
import type { Runner } from "../../../src/engine/runner.ts"
import type { StepResult } from "../../../src/core/schedule-plan.ts"
import { collect, joined, sampleOf, start } from "./harness.ts"
import { letterRunner, makeEngine, promptOf, untilIdle } from "./real-core.ts"

describe("front and core", () => {
  test("100 requests get exactly what each gets alone", async () => {
    const { engine } = makeEngine({ numBlocks: 60 })
    const overrides = (i: number) => ({
      promptTokenIds: promptOf(`prompt ${i}`),
      sampling: { maxTokens: 5 + (i % 20), logprobs: 1 },
    })
    const together = await Promise.all(Array.from({ length: 100 }, (_, i) => collect(start(engine, overrides(i)))))
    for (const i of [0, 17, 50, 99]) {
      const alone = await collect(start(makeEngine().engine, overrides(i)))
      expect(joined(together[i] ?? [])).toEqual(joined(alone))
      expect(joined(alone)).toMatchObject({ numOutputTokens: 5 + (i % 20), finishReason: "length" })
    }
  })

  test("a prompt seen before is cached, and the reader is told", async () => {
    const { engine } = makeEngine()
    const promptTokenIds = promptOf("a prompt of many tokens")
    const first = await collect(start(engine, { promptTokenIds }))
    const second = await collect(start(engine, { promptTokenIds }))
    expect([first, second].map((outputs) => outputs.at(-1)?.numCachedTokens)).toEqual([0, 20])
    expect(joined(second)).toEqual(joined(first))
    expect(sampleOf(engine.metrics(), "prompt_tokens_cached_total")).toBe(20)
    expect(sampleOf(engine.metrics(), "prefix_cache_hits_total")).toBe(20)
    expect(sampleOf(engine.metrics(), "prompt_tokens_total")).toBe(2 * promptTokenIds.length)
  })

  test("aborts and stop strings give every block back, and the gauges go to zero", async () => {
    const made = makeEngine()
    const { engine } = made
    const { text } = joined(await collect(start(engine)))
    const stop = text.slice(4, 7)
    const ends = await Promise.all([
      collect(start(engine, { sampling: { stop: [stop] } })),
      (async () => {
        for await (const _ of start(engine)) break
      })(),
      ...Array.from({ length: 30 }, (_, i) =>
        collect(start(engine, { promptTokenIds: [i] }, AbortSignal.timeout(i % 5))),
      ),
    ])
    expect(joined(ends[0] ?? [])).toMatchObject({ text: text.slice(0, text.indexOf(stop)), stopReason: stop })
    await untilIdle(made)
    await new Promise((resolve) => setImmediate(resolve))
    for (const gauge of ["num_requests_running", "num_requests_waiting", "kv_cache_usage_perc"]) {
      expect([gauge, sampleOf(engine.metrics(), gauge)]).toEqual([gauge, 0])
    }
    expect(await engine.control.resetPrefixCache(false)).toBe(true)
  })

  test("a runner that fails ends the engine", async () => {
    const failing: Runner<StepResult> = {
      ...letterRunner,
      submit() {
        throw new Error("out of luck")
      },
    }
    const { engine } = makeEngine({ runner: failing })
    await expect(collect(start(engine))).rejects.toThrow("out of luck")
    expect(engine.deathReason()).toContain("out of luck")
  })
})
