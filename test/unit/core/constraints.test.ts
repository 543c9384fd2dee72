import { describe, expect, test } from "bun:test"
import { AdapterLimit } from "../../../src/core/constraints/adapter-limit.ts"
import { EncoderBudget } from "../../../src/core/constraints/encoder-budget.ts"
import { makeConstraints } from "../../../src/core/constraints/make-constraints.ts"
import { StateAlignment } from "../../../src/core/constraints/state-alignment.ts"
import { makeSchedulerConfig } from "../../../src/core/scheduler-config.ts"
import { makeRequest, makeScheduler, range, scheduledTokens, step } from "./harness.ts"

const config = (overrides = {}) => makeSchedulerConfig({ maxModelLen: 1000, maxNumSeqs: 4, ...overrides })

describe("a configuration", () => {
  test("has the constraints that it asks for, and no others", () => {
    const names = (...args: Parameters<typeof makeConstraints>) =>
      makeConstraints(...args).map((constraint) => constraint.constructor.name)
    expect(names(config(), null)).toEqual(["TokenBudget", "PromptBudget"])
    const all = config({ longPrefillTokenThreshold: 64, maxNumEncoderInputTokens: 8, maxLoras: 2 })
    expect(names(all, { blockSize: 16, keepsSnapshots: true })).toEqual([
      "LongPrefillLimit", "TokenBudget", "PromptBudget", "EncoderBudget", "StateAlignment", "AdapterLimit",
    ])
  })

  test("is refused where a state's snapshots would never be due", () => {
    const state = { blockSize: 64, keepsSnapshots: true }
    const making = (overrides: object) => () => makeConstraints(config(overrides), state)
    expect(making({ maxNumBatchedTokens: 66 })).toThrow("--max-num-batched-tokens is 66, but must be at least 67")
    expect(making({ longPrefillTokenThreshold: 63 })).toThrow("--long-prefill-token-threshold is 63")
    expect(making({ enableChunkedPrefill: false })).toThrow("--enable-chunked-prefill is off")
    expect(making({ maxNumBatchedTokens: 67, longPrefillTokenThreshold: 64 })).not.toThrow()
    expect(() => config({ maxLoras: -1 })).toThrow("--max-loras is -1")
    expect(() => config({ maxNumEncoderInputTokens: 0.5 })).toThrow("--max-num-encoder-input-tokens is 0.5")
  })
})

describe("adapters in one step", () => {
  test("whoever names one too many is passed over, and keeps its place", () => {
    const scheduler = makeScheduler({ maxLoras: 2, maxNumSeqs: 4 })
    const adapters = [["a", "x"], ["b", "y"], ["c", "z"], ["d", null], ["e", "x"]] as const
    for (const [requestId, adapter] of adapters) scheduler.addRequest(makeRequest(4, { requestId, adapter }))
    const plan = step(scheduler)
    const admitted = [["a", "x"], ["b", "y"], ["d", null], ["e", "x"]]
    expect(plan.requests.map((r) => [r.requestId, r.adapter])).toEqual(admitted)
    scheduler.finishRequests(["b"], "abort")
    expect(Object.keys(scheduledTokens(step(scheduler)))).toEqual(["a", "d", "e", "c"])
  })

  test("of a plan that is taken back make room", () => {
    const limit = new AdapterLimit(1)
    const [x, y] = ["x", "y"].map((adapter) => makeRequest(4, { adapter })) as [never, never]
    limit.begin()
    for (const request of [x, x]) limit.take(request)
    limit.giveBack(x)
    expect([limit.clip(y, 0, 4), limit.admits(y)]).toEqual([0, "pass_over"])
    limit.giveBack(x)
    expect([limit.clip(y, 0, 4), limit.admits(y)]).toEqual([4, "admit"])
    expect(() => limit.giveBack(x)).toThrow("adapter x is not in this step")
  })
})

describe("the encoder's budget", () => {
  const encoderInputs = [{ key: "i", offset: 3, numTokens: 4 }, { key: "j", offset: 9, numTokens: 5 }]

  test("ends a chunk before an input that it cannot pay for", () => {
    const scheduler = makeScheduler({ maxNumEncoderInputTokens: 5, maxNumBatchedTokens: 16 })
    scheduler.addRequest(makeRequest(20, { requestId: "a", encoderInputs }))
    const steps = [1, 2, 3].map(() => step(scheduler).requests.map((r) => [r.numScheduledTokens, r.encodes])[0])
    expect(steps).toEqual([[9, [0]], [11, [1]], [1, []]])
  })

  test("encodes an input once, though its positions come in two chunks", () => {
    const scheduler = makeScheduler({ maxNumEncoderInputTokens: 8, longPrefillTokenThreshold: 5 })
    for (const requestId of ["a", "b"]) scheduler.addRequest(makeRequest(14, { requestId, encoderInputs }))
    const oneStep = () => step(scheduler).requests.map((r) => [r.requestId, r.numScheduledTokens, r.encodes])
    expect([1, 2, 3].map(oneStep)).toEqual([
      [["a", 5, [0]], ["b", 5, [0]]],
      [["a", 5, [1]], ["b", 4, []]],
      [["a", 4, []], ["b", 5, [1]]],
    ])
  })

  test("gives back what a plan that is taken back would have cost", () => {
    const budget = new EncoderBudget(4)
    const request = makeRequest(20, { encoderInputs })
    budget.begin()
    budget.take(request, 5)
    expect(budget.clip(request, 0, 20)).toBe(3)
    budget.giveBack(request, 5)
    expect(budget.clip(request, 0, 20)).toBe(9)
  })
})

describe("a state's alignment", () => {
  const clip = (start: number, numTokens: number, total = 20, keepsSnapshots = true) =>
    new StateAlignment(8, keepsSnapshots).clip(makeRequest(range(total)), start, numTokens)

  test("ends chunks at block boundaries, the last time at the last one of the tokens", () => {
    expect([clip(0, 20), clip(0, 15), clip(0, 7), clip(8, 12), clip(16, 4), clip(16, 2)]).toEqual([16, 8, 0, 8, 4, 2])
    expect(clip(0, 16, 16)).toBe(16)
  })

  test("cuts anywhere without a cache, and leaves drafts out in any case", () => {
    expect([clip(0, 15, 20, false), clip(19, 4, 20, false), clip(19, 4), clip(15, 5, 16)]).toEqual([15, 1, 1, 1])
  })
})
