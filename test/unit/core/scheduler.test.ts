import { describe, expect, test } from "bun:test"
import type { Request } from "../../../src/core/request.ts"
import { makeSchedulerConfig } from "../../../src/core/scheduler-config.ts"
import { makeRequest, makeScheduler, range, resultOf, scheduledTokens, step } from "./harness.ts"

const EMPTY = { finishedRequestIds: [], preemptedRequestIds: [], requests: [], totalNumScheduledTokens: 0 }

describe("requests come and go", () => {
  test("all prompts fit one step, then each request gets one token a step", () => {
    const scheduler = makeScheduler()
    for (const id of ["a", "b", "c"]) scheduler.addRequest(makeRequest(10, { requestId: id }))
    const first = step(scheduler)
    expect(scheduledTokens(first)).toEqual({ a: 10, b: 10, c: 10 })
    expect(first.requests.every((r) => r.isNew && r.samples && r.numComputedTokens === 0)).toBe(true)
    const second = step(scheduler)
    expect(scheduledTokens(second)).toEqual({ a: 1, b: 1, c: 1 })
    expect(second.requests.every((r) => !r.isNew && r.samples && r.numComputedTokens === 10)).toBe(true)
    expect(second.totalNumScheduledTokens).toBe(3)
  })

  test("an id may be here once, and a prompt must leave room for a token", () => {
    const scheduler = makeScheduler({ maxModelLen: 16 })
    scheduler.addRequest(makeRequest(15, { requestId: "a" }))
    expect(() => scheduler.addRequest(makeRequest(2, { requestId: "a" }))).toThrow("request a is already here")
    expect(() => scheduler.addRequest(makeRequest(0, { requestId: "b" }))).toThrow("request b has no prompt")
    expect(() => scheduler.addRequest(makeRequest(16, { requestId: "c" }))).toThrow("prompt of 16 tokens")
  })

  test("ending a request is idempotent, and the runner hears of it once", () => {
    const scheduler = makeScheduler()
    const requests = ["a", "b", "c"].map((requestId) => makeRequest(10, { requestId })) as [Request, Request, Request]
    for (const request of requests) scheduler.addRequest(request)
    step(scheduler)
    expect(scheduler.finishRequests(["b", "b", "x"], "abort")).toEqual([requests[1]])
    expect(scheduler.finishRequests("b", "abort")).toEqual([])
    expect(requests[1]).toMatchObject({ status: "finished", finishReason: "abort" })
    expect(step(scheduler).finishedRequestIds).toEqual(["b"])
    expect(step(scheduler).finishedRequestIds).toEqual([])
    expect(scheduler.finishRequests(null, "error")).toHaveLength(2)
    expect(scheduler.hasUnfinishedRequests()).toBe(false)
    expect(scheduler.hasWork()).toBe(true)
    expect(step(scheduler)).toMatchObject({ ...EMPTY, finishedRequestIds: ["a", "c"] })
    expect(scheduler.hasWork()).toBe(false)
  })

  test("nothing stays behind", () => {
    const scheduler = makeScheduler({ numBlocks: 100 })
    for (const n of range(10)) scheduler.addRequest(makeRequest(20 + n, { sampling: { maxTokens: 1 + n } }))
    while (scheduler.hasUnfinishedRequests()) step(scheduler)
    scheduler.verify()
    expect(scheduler.kv.pool.numFreeBlocks).toBe(99)
    expect(scheduler.makeStats()).toMatchObject({ numRunning: 0, numWaiting: 0, kvCacheUsage: 0 })
  })

  test("a request computes its prompt and its outputs but the last, and no token more", () => {
    for (const maxTokens of [1, 5, 16]) {
      const scheduler = makeScheduler()
      scheduler.addRequest(makeRequest(30, { sampling: { maxTokens } }))
      let total = 0
      while (scheduler.hasUnfinishedRequests()) total += step(scheduler).totalNumScheduledTokens
      expect(total).toBe(30 + maxTokens - 1)
    }
  })
})

describe("token budget", () => {
  test("long prompts share it, up to the threshold each", () => {
    const scheduler = makeScheduler({ maxNumBatchedTokens: 1024, longPrefillTokenThreshold: 400 })
    for (const id of ["a", "b", "c"]) scheduler.addRequest(makeRequest(800, { requestId: id }))
    const first = step(scheduler)
    expect(scheduledTokens(first)).toEqual({ a: 400, b: 400, c: 224 })
    expect(first.outputs).toEqual([])
    expect(scheduledTokens(step(scheduler))).toEqual({ a: 400, b: 400, c: 224 })
    expect(scheduledTokens(step(scheduler))).toEqual({ a: 1, b: 1, c: 352 })
  })

  test("the threshold does not bind a request that is alone, and may adapt to how many there are", () => {
    const alone = makeScheduler({ maxNumBatchedTokens: 1024, longPrefillTokenThreshold: 400 })
    alone.addRequest(makeRequest(800, { requestId: "a" }))
    expect(scheduledTokens(step(alone))).toEqual({ a: 800 })
    const longPrefillTokenThresholdAdaptive = true
    const config = { maxNumBatchedTokens: 1024, longPrefillTokenThreshold: 100, longPrefillTokenThresholdAdaptive }
    const adaptive = makeScheduler(config)
    for (const id of ["a", "b"]) adaptive.addRequest(makeRequest(800, { requestId: id }))
    expect(scheduledTokens(step(adaptive))).toEqual({ a: 512, b: 512 })
  })

  test("running requests come first, and a long prompt is cut to what is left", () => {
    const scheduler = makeScheduler({ maxNumBatchedTokens: 100 })
    scheduler.addRequest(makeRequest(10, { requestId: "a" }))
    step(scheduler)
    scheduler.addRequest(makeRequest(250, { requestId: "b" }))
    expect(scheduledTokens(step(scheduler))).toEqual({ a: 1, b: 99 })
    const { requests } = step(scheduler)
    expect(requests.map((r) => r.samples)).toEqual([true, false])
    expect(scheduledTokens(step(scheduler))).toEqual({ a: 1, b: 52 })
  })

  test("without chunked prefill the head of the line waits, and nobody overtakes it", () => {
    for (const [enableChunkedPrefill, numAdmitted] of [[false, 1], [true, 2]] as const) {
      const scheduler = makeScheduler({ maxNumBatchedTokens: 1024, maxModelLen: 1024, enableChunkedPrefill })
      for (const length of [800, 800, 10, 10]) scheduler.addRequest(makeRequest(length))
      expect(step(scheduler).requests).toHaveLength(numAdmitted)
    }
  })

  test("no more than maxNumSeqs requests run", () => {
    const scheduler = makeScheduler({ maxNumSeqs: 2 })
    for (const id of ["a", "b", "c"]) scheduler.addRequest(makeRequest(5, { requestId: id }))
    expect(scheduledTokens(step(scheduler))).toEqual({ a: 5, b: 5 })
    expect(scheduler.makeStats()).toMatchObject({ numRunning: 2, numWaiting: 1, numDeferred: 0 })
    scheduler.finishRequests("a", "abort")
    expect(scheduledTokens(step(scheduler))).toEqual({ b: 1, c: 5 })
  })

  test("the configuration is checked", () => {
    const make = (overrides: object) => () => makeSchedulerConfig({ maxModelLen: 4096, ...overrides })
    expect(make({ maxNumBatchedTokens: 64 })).toThrow("--max-num-batched-tokens is 64")
    expect(make({ enableChunkedPrefill: false })).toThrow("at least --max-model-len (4096)")
    expect(make({ longPrefillTokenThreshold: 5000 })).toThrow("--long-prefill-token-threshold is 5000")
    expect(make({ watermark: 1 })).toThrow("--watermark is 1")
    expect(make({ maxNumSeqs: 0 })).toThrow("--max-num-seqs is 0")
    expect(make({ maxModelLen: 0 })).toThrow("--max-model-len is 0")
  })
})

describe("stopping", () => {
  /** One request that has one output and takes two drafts along, so that a step may bring three tokens. */
  function withDrafts(sampling: object) {
    const scheduler = makeScheduler()
    const request = makeRequest(10, { requestId: "a", sampling: { eosTokenId: 2, ...sampling } })
    scheduler.addRequest(request)
    step(scheduler)
    scheduler.updateDraftTokens(new Map([["a", [10, 42]]]))
    return { scheduler, request }
  }

  for (const [name, sampling, tokens, kept, finishReason, stopReason] of [
    ["a stop id cuts what comes after it", { stopTokenIds: [42] }, [10, 42, 12], [10, 42], "stop", 42],
    ["so does the end of the sequence", {}, [10, 2, 12], [10, 2], "stop", null],
    ["and the length", { maxTokens: 3 }, [10, 11, 12], [10, 11], "length", null],
    ["an ignored end of sequence does not", { ignoreEos: true }, [10, 2, 11], [10, 2, 11], null, null],
  ] as [string, object, number[], number[], string | null, number | null][]) {
    test(name, () => {
      const { scheduler, request } = withDrafts(sampling)
      const { outputs } = step(scheduler, { a: tokens })
      expect(outputs).toMatchObject([{ requestId: "a", newTokenIds: kept, finishReason, stopReason }])
      expect(request.tokenIds.slice(11)).toEqual(kept)
      expect(scheduler.hasUnfinishedRequests()).toBe(finishReason === null)
    })
  }

  test("log-probabilities are cut with the tokens", () => {
    const { scheduler } = withDrafts({ maxTokens: 3 })
    const plan = scheduler.schedule()
    const logprobs = [1, 2, 3].map((tokenId) => ({ tokenId, logprob: -1, rank: 1, topIds: [], topLogprobs: [] }))
    const result = { ...resultOf(plan, { a: [10, 11, 12] }), logprobs: new Map([["a", logprobs]]) }
    expect(scheduler.updateFromOutput(plan, result)[0]?.logprobs).toEqual(logprobs.slice(0, 2))
  })

  test("the model's length ends a request, and its last position is never computed", () => {
    const scheduler = makeScheduler({ maxModelLen: 12 })
    scheduler.addRequest(makeRequest(9, { requestId: "a", sampling: { maxTokens: 100 } }))
    step(scheduler)
    scheduler.updateDraftTokens(new Map([["a", [7, 7, 7, 7]]]))
    const plan = scheduler.schedule()
    expect(plan.requests).toMatchObject([{ numComputedTokens: 9, numScheduledTokens: 2, draftTokenIds: [7] }])
    const [output] = scheduler.updateFromOutput(plan, resultOf(plan, { a: [7, 7] }))
    expect(output).toMatchObject({ newTokenIds: [7, 7], finishReason: "length" })
  })
})

describe("drafts", () => {
  test("rejected ones are computed again, and counted", () => {
    const scheduler = makeScheduler()
    const requests = ["a", "b"].map((requestId) => makeRequest(10, { requestId })) as [Request, Request]
    for (const request of requests) scheduler.addRequest(request)
    step(scheduler)
    scheduler.updateDraftTokens(new Map([["a", [1, 2, 3]], ["b", [4, 5, 6]]]))
    const { requests: planned } = step(scheduler, { a: [1, 2, 7], b: [4, 8] })
    expect(planned.map((r) => [r.numScheduledTokens, r.draftTokenIds])).toEqual([[4, [1, 2, 3]], [4, [4, 5, 6]]])
    expect(requests.map((r) => [r.numTokens, r.numComputedTokens])).toEqual([[14, 13], [13, 12]])
    expect(scheduler.makeStats().specDecoding).toEqual({
      numDrafts: 2,
      numDraftTokens: 6,
      numAcceptedTokens: 3,
      numDraftTokensPerPos: [2, 2, 2],
      numAcceptedTokensPerPos: [2, 1, 0],
    })
    expect(scheduler.makeStats().specDecoding).toBeNull()
    expect(scheduledTokens(step(scheduler))).toEqual({ a: 1, b: 1 })
  })

  for (const [sampled, accepted] of [[[1, 2, 3, 4], [1, 1, 1]], [[1, 5], [1, 0, 0]], [[9], [0, 0, 0]]] as const) {
    test(`${sampled} after drafts 1,2,3: ${accepted} accepted by position`, () => {
      const scheduler = makeScheduler()
      scheduler.addRequest(makeRequest(10, { requestId: "a" }))
      step(scheduler)
      scheduler.updateDraftTokens(new Map([["a", [1, 2, 3]]]))
      step(scheduler, { a: [...sampled] })
      expect(scheduler.makeStats().specDecoding).toMatchObject({
        numDrafts: 1,
        numDraftTokens: 3,
        numAcceptedTokens: sampled.length - 1,
        numAcceptedTokensPerPos: [...accepted],
      })
    })
  }

  test("are cut to the budget, and dropped in mid-prompt and for requests that are gone", () => {
    const scheduler = makeScheduler({ maxNumBatchedTokens: 16 })
    scheduler.addRequest(makeRequest(8, { requestId: "a" }))
    step(scheduler)
    scheduler.addRequest(makeRequest(40, { requestId: "b" }))
    scheduler.updateDraftTokens(new Map([["a", range(20)]]))
    const { requests } = step(scheduler)
    expect(requests).toMatchObject([{ requestId: "a", numScheduledTokens: 16, draftTokenIds: range(15) }])
    scheduler.updateDraftTokens(new Map([["gone", [1]]]))
    step(scheduler)
    scheduler.updateDraftTokens(new Map([["b", [1, 2]]]))
    expect(step(scheduler).requests[1]).toMatchObject({ requestId: "b", draftTokenIds: [], samples: false })
  })
})

describe("prefix caching", () => {
  test("of two equal prompts in one step, the second computes its end alone", () => {
    const scheduler = makeScheduler()
    for (const id of ["a", "b"]) scheduler.addRequest(makeRequest(range(100), { requestId: id }))
    const { requests } = step(scheduler)
    expect(requests.map((r) => [r.numComputedTokens, r.numScheduledTokens])).toEqual([[0, 100], [96, 4]])
    expect(requests[1]?.blockIds.slice(0, 6)).toEqual(requests[0]?.blockIds.slice(0, 6) as number[])
  })

  test("the next turn computes only what is not in full blocks", () => {
    const scheduler = makeScheduler()
    const first = makeRequest(50, { sampling: { maxTokens: 31 } })
    scheduler.addRequest(first)
    while (scheduler.hasUnfinishedRequests()) step(scheduler)
    // The last output was never computed: of 81 tokens, 80 are cached.
    const next = makeRequest([...first.tokenIds, ...range(9, 5)])
    scheduler.addRequest(next)
    expect(scheduledTokens(step(scheduler))).toEqual({ [next.requestId]: 90 - 80 })
  })

  test("prefillStats come with the first output, once", () => {
    const scheduler = makeScheduler({ maxNumBatchedTokens: 60 })
    scheduler.addRequest(makeRequest(range(50), { sampling: { maxTokens: 1 } }))
    step(scheduler)
    scheduler.addRequest(makeRequest([...range(48), ...range(72, 500)]))
    expect(step(scheduler).outputs).toEqual([])
    const prefillStats = { numPromptTokens: 120, numCachedTokens: 48, numComputedTokens: 72 }
    expect(step(scheduler).outputs).toMatchObject([{ prefillStats }])
    expect(step(scheduler).outputs).toMatchObject([{ prefillStats: null }])
  })

  test("are counted at admission, once", () => {
    const scheduler = makeScheduler({ numBlocks: 9, maxNumSeqs: 4 })
    scheduler.addRequest(makeRequest(range(40), { requestId: "a" }))
    step(scheduler)
    expect(scheduler.makeStats().prefixCache).toMatchObject({ requests: 1, queries: 40, hits: 0 })
    // Fits only after the first is gone; every step looks it up.
    scheduler.addRequest(makeRequest([...range(40), ...range(80, 600)], { requestId: "b" }))
    for (const _ of range(3)) step(scheduler)
    expect(scheduler.makeStats().prefixCache).toMatchObject({ requests: 0, queries: 0, hits: 0 })
    scheduler.finishRequests("a", "abort")
    step(scheduler)
    expect(scheduler.makeStats().prefixCache).toMatchObject({ requests: 1, queries: 120, hits: 32 })
  })

  test("not counted when switched off", () => {
    const scheduler = makeScheduler({ enablePrefixCaching: false })
    for (const _ of range(2)) scheduler.addRequest(makeRequest(range(40)))
    expect(step(scheduler).totalNumScheduledTokens).toBe(80)
    expect(scheduler.makeStats().prefixCache).toMatchObject({ requests: 0, queries: 0, hits: 0 })
  })

  test("a reset needs idle blocks, or preempts", () => {
    const scheduler = makeScheduler()
    for (const id of ["a", "b"]) scheduler.addRequest(makeRequest(40, { requestId: id }))
    step(scheduler)
    expect(scheduler.resetPrefixCache()).toBe(false)
    expect(scheduler.resetPrefixCache(true)).toBe(true)
    scheduler.verify()
    const again = step(scheduler)
    expect(again.preemptedRequestIds).toEqual(["b", "a"])
    expect(again.requests).toMatchObject([
      { requestId: "a", isNew: true, numComputedTokens: 0, numScheduledTokens: 41 },
      { requestId: "b", isNew: true, numComputedTokens: 0, numScheduledTokens: 41 },
    ])
    expect(scheduler.makeStats()).toMatchObject({ numPreemptions: 2 })
  })
})

describe("pause", () => {
  test("paused_new lets running requests go on and admits nobody", () => {
    const scheduler = makeScheduler()
    scheduler.addRequest(makeRequest(5, { requestId: "a", sampling: { maxTokens: 3 } }))
    step(scheduler)
    scheduler.setPause("paused_new")
    scheduler.addRequest(makeRequest(5, { requestId: "b" }))
    expect(scheduledTokens(step(scheduler))).toEqual({ a: 1 })
    step(scheduler)
    expect(scheduler.hasUnfinishedRequests()).toBe(false)
    scheduler.setPause("unpaused")
    expect(scheduledTokens(step(scheduler))).toEqual({ b: 5 })
  })

  test("paused_all freezes", () => {
    const scheduler = makeScheduler()
    scheduler.addRequest(makeRequest(5, { requestId: "a" }))
    step(scheduler)
    scheduler.setPause("paused_all")
    expect(scheduler.hasWork()).toBe(false)
    expect(step(scheduler)).toMatchObject(EMPTY)
    scheduler.setPause("unpaused")
    expect(scheduledTokens(step(scheduler))).toEqual({ a: 1 })
  })
})

describe("outputs and counts", () => {
  test("events come with the next output, stamped by the clock", () => {
    const scheduler = makeScheduler()
    scheduler.addRequest(makeRequest(5))
    expect(step(scheduler).outputs[0]?.events).toEqual([
      { type: "queued", timestamp: 0 },
      { type: "scheduled", timestamp: 1 },
    ])
    expect(step(scheduler).outputs[0]?.events).toEqual([])
  })

  test("iteration tokens: prompts when they are complete, cached ones apart, and what was generated", () => {
    const scheduler = makeScheduler({ maxNumBatchedTokens: 64 })
    scheduler.addRequest(makeRequest(range(100)))
    step(scheduler)
    expect(scheduler.makeStats()).toMatchObject({ numIterationTokens: 0, numGenerationTokens: 0 })
    step(scheduler)
    expect(scheduler.makeStats()).toMatchObject({ numIterationTokens: 101, numGenerationTokens: 1 })
    scheduler.addRequest(makeRequest(range(100)))
    step(scheduler)
    expect(scheduler.makeStats()).toMatchObject({
      numIterationTokens: 6,
      numGenerationTokens: 2,
      promptTokens: { localCompute: 4, localCacheHit: 96 },
    })
  })

  test("a runner that brings too little or too much is our bug", () => {
    const scheduler = makeScheduler({ maxNumBatchedTokens: 64 })
    scheduler.addRequest(makeRequest(100, { requestId: "a" }))
    const chunk = scheduler.schedule()
    const early = { ...resultOf(chunk), sampledTokenIds: new Map([["a", [1]]]) }
    expect(() => scheduler.updateFromOutput(chunk, early)).toThrow("1 tokens sampled")
    const last = scheduler.schedule()
    const none = { ...resultOf(last), sampledTokenIds: new Map() }
    expect(() => scheduler.updateFromOutput(last, none)).toThrow("0 tokens sampled")
  })
})

describe("steps in flight", () => {
  test("a request that waits for the host is planned once at a time", () => {
    const scheduler = makeScheduler({ maxNumBatchedTokens: 1024 })
    scheduler.addRequest(makeRequest(512, { requestId: "a", waitsForHost: true }))
    const first = scheduler.schedule()
    scheduler.addRequest(makeRequest(512, { requestId: "b", waitsForHost: true }))
    const second = scheduler.schedule()
    expect([scheduledTokens(first), scheduledTokens(second)]).toEqual([{ a: 512 }, { b: 512 }])
    expect(scheduler.schedule().requests).toEqual([])
    scheduler.updateFromOutput(first, resultOf(first))
    expect(scheduledTokens(scheduler.schedule())).toEqual({ a: 1 })
  })

  test("chunks of one prompt may follow each other", () => {
    const scheduler = makeScheduler({ maxNumBatchedTokens: 64 })
    scheduler.addRequest(makeRequest(100, { requestId: "a" }))
    const plans = [scheduler.schedule(), scheduler.schedule(), scheduler.schedule()]
    expect(plans.map(scheduledTokens)).toEqual([{ a: 64 }, { a: 36 }, { a: 1 }])
    expect(plans.flatMap((plan) => scheduler.updateFromOutput(plan, resultOf(plan)))).toHaveLength(2)
  })

  test("tokens of a request that was aborted meanwhile are dropped", () => {
    const scheduler = makeScheduler()
    for (const n of range(10)) scheduler.addRequest(makeRequest(10, { requestId: `${n}` }))
    const received = new Map<string, number>()
    for (const n of range(10)) {
      const plan = scheduler.schedule()
      scheduler.finishRequests(`${n}`, "abort")
      for (const { requestId, newTokenIds } of scheduler.updateFromOutput(plan, resultOf(plan))) {
        received.set(requestId, (received.get(requestId) ?? 0) + newTokenIds.length)
      }
      scheduler.verify()
    }
    expect(range(10).map((n) => received.get(`${n}`) ?? 0)).toEqual(range(10))
  })

  test("an id that was aborted may be used again before its step is back", () => {
    const scheduler = makeScheduler()
    scheduler.addRequest(makeRequest(10, { requestId: "a" }))
    const plan = scheduler.schedule()
    scheduler.finishRequests("a", "abort")
    const again = makeRequest(20, { requestId: "a" })
    scheduler.addRequest(again)
    expect(scheduler.updateFromOutput(plan, resultOf(plan))).toEqual([])
    expect(again.numOutputTokens).toBe(0)
    const next = step(scheduler)
    expect(next.finishedRequestIds).toEqual(["a"])
    expect(next.requests).toMatchObject([{ requestId: "a", isNew: true, numScheduledTokens: 20 }])
  })
})
