/** The front half over the real loop and the real scheduler, with a runner that derives tokens from tokens. */
import { describe, expect, test } from "bun:test"
import type { Runner } from "../../../src/engine/runner.ts"
import { AsyncEngine } from "../../../src/engine/async-engine.ts"
import { EngineCore } from "../../../src/engine/engine-core.ts"
import type { EngineCoreOutputs, EngineCorePort } from "../../../src/engine/engine-core-port.ts"
import type { SchedulePlan, StepResult } from "../../../src/core/schedule-plan.ts"
import { fakeModel } from "../../fake-engine.ts"
import { ToyTokenizer } from "../../toy-tokenizer.ts"
import { makeScheduler } from "../core/harness.ts"
import { fakeLogprobs } from "./fake-core.ts"
import { collect, joined, sampleOf, start } from "./harness.ts"

const MAX_NUM_SEQS = 8
const tokenizer = new ToyTokenizer()

/** Each token is a letter that depends on all before it. */
const runner: Runner = {
  execute(plan: SchedulePlan): StepResult {
    const result: StepResult = { sampledTokenIds: new Map(), logprobs: new Map(), promptLogprobs: new Map() }
    for (const { requestId, tokenIds, samples, sampling } of plan.requests) {
      if (!samples) continue
      const token = 97 + (tokenIds.reduce((hash, id) => (hash * 31 + id) % 1009, 7) % 26)
      result.sampledTokenIds.set(requestId, [token])
      if (sampling.logprobs !== null) result.logprobs.set(requestId, [fakeLogprobs(token, sampling.logprobs)])
    }
    return result
  },
}

function makeEngine(options: { runner?: Runner; numBlocks?: number } = {}) {
  let onOutputs: (outputs: EngineCoreOutputs) => void = () => {}
  let onDeath: (error: Error) => void = () => {}
  const clock = () => performance.now() / 1000
  const core = new EngineCore({
    scheduler: makeScheduler({
      maxNumSeqs: MAX_NUM_SEQS,
      blockSize: 4,
      numBlocks: options.numBlocks ?? 200,
      maxModelLen: 256,
    }),
    runner: options.runner ?? runner,
    clock,
    yieldThen: setImmediate,
    emit: (outputs) => onOutputs(structuredClone(outputs)),
    onError: (error) => onDeath(error),
  })
  const port: EngineCorePort = {
    add: (request) => core.add(structuredClone(request)),
    abort: (requestIds) => core.abort(requestIds),
    call: async (name, ...args) => core.call(name, args),
    onOutputs: (listener) => (onOutputs = listener),
    onDeath: (listener) => (onDeath = listener),
    close: async () => {},
  }
  const engine = new AsyncEngine({
    core: port,
    tokenizer,
    model: fakeModel(tokenizer),
    chatTemplate: null,
    now: clock,
    random: { uint64: () => BigInt(Math.floor(Math.random() * 2 ** 53)) },
    maxNumSeqs: MAX_NUM_SEQS,
    maxWaitingRequests: null,
    cacheConfig: {},
  })
  return { engine, core }
}

const promptOf = (text: string) => tokenizer.encode(text, { addSpecialTokens: false })

async function untilIdle({ engine, core }: ReturnType<typeof makeEngine>): Promise<void> {
  while (!core.call("isIdle", [])) await new Promise((resolve) => setImmediate(resolve))
  expect(engine.numUnfinished()).toBe(0)
}

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
    expect(await engine.resetPrefixCache(false)).toBe(true)
  })

  test("a runner that fails ends the engine", async () => {
    const failing: Runner = {
      execute() {
        throw new Error("out of luck")
      },
    }
    const { engine } = makeEngine({ runner: failing })
    await expect(collect(start(engine))).rejects.toThrow("out of luck")
    expect(engine.deathReason()).toContain("out of luck")
  })
})
