import { describe, expect, test } from "bun:test"
import type { SamplingParams } from "../../../src/core/sampling-params.ts"
import type { EngineCoreRequest } from "../../../src/engine/engine-core-port.ts"
import { EngineDeadError } from "../../../src/engine/engine-client.ts"
import { makeFakeEngine } from "../../fake-engine.ts"
import { collect, coreOutput, joined, sampleOf, start } from "./harness.ts"

/** A reply of `count` tokens that never ends by itself. */
const ENDLESS = "abcdefgh"

describe("one request", () => {
  test("delta gives a step's tokens as they come; the end-of-sequence token has no text", async () => {
    const { engine } = makeFakeEngine({ reply: "hi<|eos|>" })
    const outputs = await collect(start(engine))
    expect(outputs.map(({ text }) => text)).toEqual(["h", "i", ""])
    expect(outputs.map(({ finishReason }) => finishReason)).toEqual([null, null, "stop"])
    expect(joined(outputs)).toMatchObject({
      text: "hi",
      tokenIds: [104, 105, 257],
      stopReason: null,
      numOutputTokens: 3,
    })
  })

  test("a stream's outputs have as many tokens as asked for, but for the first and the last", async () => {
    const { engine } = makeFakeEngine({ reply: "abcdefgh<|eos|>" })
    const texts = async (streamInterval: number) =>
      (await collect(start(engine, { sampling: { streamInterval, logprobs: 0 } }))).map(({ text }) => text)
    expect(await texts(3)).toEqual(["a", "bcd", "efg", "h"])
    expect(await texts(20)).toEqual(["a", "bcdefgh"])
  })

  test("log-probabilities of the prompt come with the first output, in both kinds", async () => {
    const { engine } = makeFakeEngine({ reply: "hi<|eos|>" })
    for (const outputKind of ["delta", "final"] as const) {
      const sampling = { promptLogprobs: 2 }
      const outputs = await collect(start(engine, { outputKind, sampling, promptTokenIds: [97, 98, 99] }))
      const told = outputs.map(({ promptLogprobs }) => promptLogprobs?.map(({ token }) => token) ?? null)
      expect(told[0]).toEqual(["b", "c"])
      expect(told.slice(1).every((each) => each === null)).toBe(true)
    }
  })

  test("a prompt is judged once, by the first choice, and every choice tells of it", async () => {
    for (const outputKind of ["delta", "final"] as const) {
      const { engine, core } = makeFakeEngine({ reply: "hi<|eos|>" })
      const sampling = { promptLogprobs: 2, n: 3, temperature: 1 }
      const outputs = await collect(start(engine, { outputKind, sampling, promptTokenIds: [97, 98, 99] }))
      expect(core.added.map((added) => added.sampling.promptLogprobs)).toEqual([2, null, null])
      for (const index of [0, 1, 2]) {
        const [first, ...rest] = outputs.filter((output) => output.index === index)
        expect(first?.promptLogprobs?.map(({ token }) => token)).toEqual(["b", "c"])
        expect(rest.every(({ promptLogprobs }) => promptLogprobs === null)).toBe(true)
      }
    }
  })

  test.each([[true, 400, "vllm_xargs"], [false, 500, null]] as const)(
    "a request that cannot go on ends in its own words (caller's fault: %p)", async (isCallersFault, status, param) => {
      const { engine, core } = makeFakeEngine({ stepMs: null })
      const first = start(engine, { sampling: { n: 2 } }).next()
      const failure = { message: "no such n-gram", isCallersFault }
      core.emit([coreOutput({ requestId: core.added[1]!.requestId, finishReason: "error", newTokenIds: [], failure })])
      await expect(first).rejects.toMatchObject({ message: "no such n-gram", status, param })
      expect(core.aborted).toContain(core.added[0]!.requestId)
      expect(engine.numUnfinished()).toBe(0)
    })

  test("final gives everything at once", async () => {
    const { engine } = makeFakeEngine({ reply: "hi<|eos|>" })
    const outputs = await collect(start(engine, { outputKind: "final", sampling: { logprobs: 1 } }))
    expect(outputs).toHaveLength(1)
    expect(outputs[0]).toMatchObject({
      text: "hi",
      tokenIds: [104, 105, 257],
      finishReason: "stop",
      numOutputTokens: 3,
    })
    expect(outputs[0]?.logprobs?.map(({ token }) => token)).toEqual(["h", "i", "<|eos|>"])
  })

  test("a reader that comes late gets everything in one output", async () => {
    const { engine, core } = makeFakeEngine({ reply: "hi<|eos|>", stepMs: null })
    const stream = start(engine)
    const first = stream.next()
    for (let i = 0; i < 3; i++) core.step()
    expect((await first).value).toMatchObject({ text: "h" })
    expect((await stream.next()).value).toMatchObject({ text: "i", tokenIds: [105, 257], finishReason: "stop" })
    expect((await stream.next()).done).toBe(true)
  })

  const ABCD = [97, 98, 99, 100]
  const ends: [string, Partial<SamplingParams>, string, object][] = [
    ["length", { maxTokens: 3 }, "abc", { finishReason: "length", stopReason: null }],
    ["a stop token", { stopTokenIds: [100] }, "abc", { finishReason: "stop", stopReason: 100, tokenIds: ABCD }],
    ["a stop token that stays", { stopTokenIds: [100], includeStopStrInOutput: true }, "abcd", { stopReason: 100 }],
    ["a stop string", { stop: ["cd"] }, "ab", { finishReason: "stop", stopReason: "cd", tokenIds: ABCD }],
    ["a stop string that stays", { stop: ["cd"], includeStopStrInOutput: true }, "abcd", { stopReason: "cd" }],
    ["a stop string in the last token", { stop: ["c"], maxTokens: 3 }, "ab", { finishReason: "stop", stopReason: "c" }],
    [
      "length with no text wanted",
      { maxTokens: 3, detokenize: false },
      "",
      { finishReason: "length", numOutputTokens: 3 },
    ],
  ]
  for (const [name, sampling, text, expected] of ends) {
    test(`ends by ${name}`, async () => {
      const { engine } = makeFakeEngine({ reply: ENDLESS })
      for (const outputKind of ["delta", "final"] as const) {
        const outputs = await collect(start(engine, { sampling, outputKind }))
        expect(joined(outputs)).toMatchObject({ text, ...expected })
      }
    })
  }

  test("a stop string makes the core drop the request", async () => {
    const { engine, core, numLive, numAborted } = makeFakeEngine({ reply: ENDLESS })
    await collect(start(engine, { sampling: { stop: ["b"] } }))
    expect(core.aborted).toEqual([core.added[0]?.requestId ?? ""])
    expect([numLive(), engine.numUnfinished()]).toEqual([0, 0])
    await collect(start(engine, { sampling: { stop: ["c"], maxTokens: 3 } }))
    expect(numAborted()).toBe(1) // The second had ended in the core by itself.
  })

  test("tokens of the step behind a stop string are dropped, with their log-probabilities", async () => {
    const { engine } = makeFakeEngine({ reply: ENDLESS, tokensPerStep: 4 })
    const outputs = await collect(start(engine, { sampling: { stop: ["b"], logprobs: 0 } }))
    expect(joined(outputs)).toMatchObject({ text: "a", tokenIds: [97, 98], numOutputTokens: 2 })
    expect(outputs[0]?.logprobs).toHaveLength(2)
  })

  test("parameters are normalised on their way to the core", async () => {
    const { engine, core } = makeFakeEngine({ model: { extraEosTokenIds: [5] } })
    await collect(start(engine, { sampling: { temperature: 0, topK: 7 }, cacheSalt: "salt", priority: 3 }))
    expect(core.added[0]).toMatchObject({ cacheSalt: "salt", priority: 3, promptTokenIds: [1, 2, 3] })
    expect(core.added[0]?.sampling).toMatchObject({ topK: 0, eosTokenId: 257, stopTokenIds: [5], n: 1 })
  })
})

describe("n > 1", () => {
  test("choices share the prompt, and have seeds of their own", async () => {
    const { engine, core } = makeFakeEngine()
    await collect(start(engine, { requestId: "r", sampling: { n: 3, seed: 7n } }))
    expect(core.added.map(({ sampling }) => [sampling.n, sampling.seed])).toEqual([[1, 7n], [1, 8n], [1, 9n]])
    const ids = core.added.map(({ requestId }) => requestId)
    expect(ids.map((id) => id.slice(0, 4))).toEqual(["0_r-", "1_r-", "2_r-"])
    expect(new Set(ids.map((id) => id.slice(2))).size).toBe(1)
  })

  test("a seed's successors wrap at 64 bits", async () => {
    const { engine, core } = makeFakeEngine()
    await collect(start(engine, { sampling: { n: 2, seed: 2n ** 64n - 1n } }))
    expect(core.added.map(({ sampling }) => sampling.seed)).toEqual([2n ** 64n - 1n, 0n])
  })

  test("without a seed each choice gets a random one", async () => {
    const { engine, core } = makeFakeEngine()
    await collect(start(engine, { sampling: { n: 4 } }))
    const seeds = core.added.map(({ sampling }) => sampling.seed)
    expect(seeds.every((seed) => seed !== null)).toBe(true)
    expect(new Set(seeds).size).toBe(4)
  })

  const replies = ["long answer<|eos|>", "x<|eos|>", "mid<|eos|>"]
  const reply = ({ requestId }: { requestId: string }) => replies[Number(requestId[0])] ?? ""

  test("delta interleaves the choices; the stream ends with the last", async () => {
    const { engine } = makeFakeEngine({ reply })
    const outputs = await collect(start(engine, { sampling: { n: 3 } }))
    expect([0, 1, 2].map((index) => joined(outputs, index).text)).toEqual(["long answer", "x", "mid"])
    expect(outputs.filter(({ finishReason }) => finishReason !== null).map(({ index }) => index)).toEqual([1, 2, 0])
    expect(outputs.slice(0, 3).map(({ index }) => index)).toEqual([0, 1, 2])
  })

  test("final waits for all and gives them in index order", async () => {
    const { engine } = makeFakeEngine({ reply })
    const outputs = await collect(start(engine, { sampling: { n: 3 }, outputKind: "final" }))
    expect(outputs.map(({ index, text }) => [index, text])).toEqual([[0, "long answer"], [1, "x"], [2, "mid"]])
  })

  test("an abort takes all the choices", async () => {
    const { engine, core, numLive } = makeFakeEngine({ reply: ENDLESS })
    for await (const _ of start(engine, { sampling: { n: 3 } })) break
    expect([numLive(), core.aborted.length, engine.numUnfinished()]).toEqual([0, 3, 0])
  })
})

describe("aborts", () => {
  test("leaving the loop frees the request at once", async () => {
    const { engine, numLive, numAborted } = makeFakeEngine({ reply: ENDLESS })
    for await (const _ of start(engine)) break
    expect([numLive(), numAborted(), engine.numUnfinished()]).toEqual([0, 1, 0])
  })

  test("aborting the signal ends the reader's wait, and nothing more comes", async () => {
    const { engine, core, numLive } = makeFakeEngine({ reply: ENDLESS, stepMs: null })
    const controller = new AbortController()
    const stream = start(engine, {}, controller.signal)
    const first = stream.next()
    core.step()
    expect((await first).value).toMatchObject({ text: "a" })
    const second = stream.next()
    controller.abort()
    expect(numLive()).toBe(0)
    core.step()
    expect(await second).toEqual({ done: true, value: undefined })
    expect((await stream.next()).done).toBe(true)
    expect(core.aborted).toHaveLength(1)
  })

  test("what the reader has not taken is dropped by an abort", async () => {
    const { engine, core } = makeFakeEngine({ reply: ENDLESS, stepMs: null })
    const controller = new AbortController()
    const stream = start(engine, {}, controller.signal)
    const first = stream.next()
    for (let i = 0; i < 3; i++) core.step()
    await first
    controller.abort()
    expect((await stream.next()).done).toBe(true)
  })

  test("return() while a next() waits does not wait for it: the request may be queued for long", async () => {
    const { engine, core, numLive } = makeFakeEngine({ stepMs: null, maxNumSeqs: 1 })
    const running = start(engine)
    const first = running.next()
    const queued = start(engine)
    const waiting = queued.next()
    core.step()
    await first
    expect(numLive()).toBe(2)
    await queued.return()
    expect(await waiting).toEqual({ done: true, value: undefined })
    expect(numLive()).toBe(1)
    expect(core.aborted).toEqual([core.added[1]?.requestId ?? ""])
    await running.return()
  })

  test("a signal aborted before the start admits nothing", async () => {
    const { engine, core } = makeFakeEngine()
    expect(await collect(start(engine, {}, AbortSignal.abort()))).toEqual([])
    expect(core.added).toHaveLength(0)
  })

  test("a stream that is never read admits nothing", async () => {
    const { engine, core } = makeFakeEngine()
    await start(engine).return()
    expect(core.added).toHaveLength(0)
  })

  test("an abort in the very moment of the last token ends the request once", async () => {
    const { engine, core } = makeFakeEngine({ reply: "a<|eos|>", stepMs: null })
    const controller = new AbortController()
    const stream = start(engine, {}, controller.signal)
    const first = stream.next()
    core.step()
    core.step()
    controller.abort()
    await first
    expect((await stream.next()).done).toBe(true)
    expect(core.aborted).toHaveLength(0)
    expect(sampleOf(engine.metrics(), "request_success_total", 'finished_reason="stop"')).toBe(1)
    expect(sampleOf(engine.metrics(), "request_success_total", 'finished_reason="abort"')).toBe(0)
  })

  test("outputs that cross an abort on the way are ignored", async () => {
    const { engine, core } = makeFakeEngine({ reply: ENDLESS, stepMs: null })
    const stream = start(engine)
    const first = stream.next()
    core.step()
    await first
    await stream.return()
    core.emit([coreOutput({ requestId: core.added[0]?.requestId ?? "" })])
    expect(engine.numUnfinished()).toBe(0)
  })

  test("signals that outlive their request keep nothing of it", async () => {
    const { engine } = makeFakeEngine({ reply: "a<|eos|>" })
    const { signal } = new AbortController()
    const listeners = new Set<unknown>()
    const { addEventListener, removeEventListener } = signal
    signal.addEventListener = (...args: Parameters<typeof addEventListener>) => {
      listeners.add(args[1])
      addEventListener.apply(signal, args)
    }
    signal.removeEventListener = (...args: Parameters<typeof removeEventListener>) => {
      listeners.delete(args[1])
      removeEventListener.apply(signal, args)
    }
    await collect(start(engine, {}, signal))
    expect(listeners.size).toBe(0)
  })
})

describe("many at once", () => {
  test("100 requests get exactly their tokens, in both kinds", async () => {
    for (const outputKind of ["delta", "final"] as const) {
      const { engine, numLive } = makeFakeEngine({ reply: ENDLESS, maxNumSeqs: 16 })
      const numbers = Array.from({ length: 100 }, (_, i) => i)
      const streams = numbers.map((i) => start(engine, { outputKind, sampling: { maxTokens: 1 + (i % 7) } }))
      const all = await Promise.all(streams.map(collect))
      expect(all.map((outputs) => joined(outputs).tokenIds.length)).toEqual(numbers.map((i) => 1 + (i % 7)))
      expect([numLive(), engine.numUnfinished()]).toEqual([0, 0])
    }
  })

  test("aborting some leaves the others exact", async () => {
    const { engine, numAborted } = makeFakeEngine({ reply: ENDLESS, maxNumSeqs: 8 })
    const counts = await Promise.all(
      Array.from({ length: 60 }, async (_, i) => {
        let count = 0
        for await (const { tokenIds } of start(engine, { sampling: { maxTokens: 12 } })) {
          count += tokenIds.length
          if (i % 3 === 0 && count >= 4) break
        }
        return count
      }),
    )
    expect(counts.filter((_, i) => i % 3 !== 0).every((count) => count === 12)).toBe(true)
    expect(numAborted()).toBe(20)
    expect(engine.numUnfinished()).toBe(0)
  })

  test("the same id twice is two requests", async () => {
    const { engine, core } = makeFakeEngine({ reply: "ab<|eos|>" })
    const [a, b] = await Promise.all([collect(start(engine)), collect(start(engine))])
    expect([joined(a ?? []).text, joined(b ?? []).text]).toEqual(["ab", "ab"])
    expect(core.added[0]?.requestId).not.toBe(core.added[1]?.requestId)
  })
})

describe("failures", () => {
  test("an output that cannot be processed fails its request alone", async () => {
    const { engine, core } = makeFakeEngine({ reply: ENDLESS, stepMs: null })
    const [bad, good] = [start(engine, { sampling: { logprobs: 1 } }), start(engine)]
    const badNext = bad.next()
    const goodNext = good.next()
    const [badId, goodId] = core.added.map(({ requestId }) => requestId) as [string, string]
    core.emit([coreOutput({ requestId: badId }), coreOutput({ requestId: goodId, newTokenIds: [98] })])
    expect((await goodNext).value).toMatchObject({ text: "b" })
    await expect(badNext).rejects.toThrow("0 log-probabilities for 1 tokens")
    expect(core.aborted).toEqual([badId])
    expect(engine.deathReason()).toBeNull()
    await good.return()
  })

  test("an error of the core reaches the reader as a finish reason", async () => {
    const { engine, core } = makeFakeEngine({ stepMs: null })
    const done = collect(start(engine))
    core.emit([coreOutput({ requestId: core.added[0]?.requestId ?? "", newTokenIds: [], finishReason: "error" })])
    expect(joined(await done)).toMatchObject({ finishReason: "error", tokenIds: [] })
  })

  test("when the core dies every live request fails, later ones at once", async () => {
    const { engine, core } = makeFakeEngine({ reply: ENDLESS, stepMs: null })
    const streams = [start(engine), start(engine, { outputKind: "final" })]
    const reads = streams.map((stream) => collect(stream))
    core.step()
    core.die("the kernel exploded")
    const ends = await Promise.allSettled(reads)
    for (const end of ends) expect(end.status === "rejected" && end.reason).toBeInstanceOf(EngineDeadError)
    expect(engine.deathReason()).toContain("the kernel exploded")
    expect(engine.numUnfinished()).toBe(0)
    await expect(collect(start(engine))).rejects.toBeInstanceOf(EngineDeadError)
    await expect(engine.control.resetPrefixCache(false)).rejects.toBeInstanceOf(EngineDeadError)
    expect(core.added).toHaveLength(2)
    const metrics = engine.metrics()
    expect(sampleOf(metrics, "num_requests_running")).toBe(0)
    expect(sampleOf(metrics, "request_success_total", 'finished_reason="error"')).toBe(2)
  })

  test("a request that cannot be sent leaves nothing behind", async () => {
    const { engine, core } = makeFakeEngine({ stepMs: null })
    core.add = () => {
      throw new Error("cannot be cloned")
    }
    await expect(collect(start(engine, { sampling: { n: 3 } }))).rejects.toThrow("cannot be cloned")
    expect([engine.numUnfinished(), core.numLive]).toEqual([0, 0])
  })

  test("the choices of a request go to the core in one message, over one prompt", async () => {
    const { engine, core } = makeFakeEngine({ stepMs: null })
    const messages: (readonly EngineCoreRequest[])[] = []
    const { add } = core
    core.add = (requests) => {
      messages.push(requests)
      add.call(core, requests)
    }
    const stream = start(engine, { sampling: { n: 3 } })
    const read = stream.next()
    const [message] = messages
    expect(messages).toHaveLength(1)
    expect(message!.map(({ promptTokenIds }) => promptTokenIds === message![0]!.promptTokenIds)).toEqual([
      true, true, true,
    ])
    const sent = structuredClone(message!)
    expect(sent[2]!.promptTokenIds).toBe(sent[0]!.promptTokenIds)
    await stream.return()
    await read
  })

  test("a prompt that does not fit fails before the core hears of it", async () => {
    const { engine, core } = makeFakeEngine({ model: { maxModelLen: 4 } })
    const promptTokenIds = [1, 2, 3, 4, 5]
    await expect(collect(start(engine, { promptTokenIds }))).rejects.toMatchObject({
      status: 400,
      param: "input_tokens",
    })
    expect(core.added).toHaveLength(0)
  })
})

describe("admission", () => {
  const ONE_WAITS = { maxWaitingRequests: 1 }

  test("beyond what may wait, requests are refused with 429", async () => {
    const { engine, core } = makeFakeEngine({ reply: ENDLESS, stepMs: null, maxNumSeqs: 2, limits: ONE_WAITS })
    const live = Array.from({ length: 3 }, () => start(engine))
    const reads = live.map((stream) => stream.next())
    await expect(start(engine).next()).rejects.toMatchObject({ status: 429, type: "RateLimitError" })
    core.step()
    await Promise.all(reads.slice(0, 2))
    await expect(start(engine).next()).rejects.toMatchObject({ message: expect.stringContaining("1 of at most 1") })
    expect(core.added).toHaveLength(3)
    expect(engine.metrics()).toContain(
      'vllm:admission_rejections_total{model_name="fake",reason="max_waiting_requests"} 2.0',
    )
    // One leaves: the waiting one runs, and there is room to wait.
    await live[0]?.return()
    core.step()
    const next = start(engine)
    const read = next.next()
    expect(core.added).toHaveLength(4)
    for (const stream of [...live, next]) await stream.return()
    await read
  })

  test("n counts n", async () => {
    const { engine, core } = makeFakeEngine({ reply: ENDLESS, stepMs: null, maxNumSeqs: 2, limits: ONE_WAITS })
    await expect(start(engine, { sampling: { n: 4 } }).next()).rejects.toMatchObject({ status: 429 })
    expect(core.added).toHaveLength(0)
    const fits = start(engine, { sampling: { n: 3 } })
    const read = fits.next()
    expect(core.added).toHaveLength(3)
    await fits.return()
    await read
  })
})

describe("an engine that died", () => {
  test("works again when it has been started again, and says where it stands", async () => {
    const { engine, core } = makeFakeEngine({ reply: "abc<|eos|>", stepMs: 0 })
    expect(engine.notReadyReason()).toBeNull()
    const failed = collect(start(engine))
    core.die("a bug")
    await expect(failed).rejects.toBeInstanceOf(EngineDeadError)
    expect(await engine.death).toContain("a bug")
    expect(engine.notReadyReason()).toContain("a bug")

    const gate = Promise.withResolvers<void>()
    core.restart = () => gate.promise
    const restarted = engine.restart()
    await expect(collect(start(engine))).rejects.toMatchObject({ status: 503, retryAfterSeconds: 5 })
    expect(engine.deathReason()).toContain("a bug")
    gate.resolve()
    await restarted
    expect([engine.deathReason(), engine.notReadyReason()]).toEqual([null, null])
    expect(joined(await collect(start(engine))).text).toBe("abc")

    const death = engine.death
    core.die("another")
    expect(await death).toContain("another")
  })

  test("stays dead when it cannot be started again", async () => {
    const { engine, core } = makeFakeEngine()
    core.die("a bug")
    core.restart = () => Promise.reject(new Error("no memory"))
    await expect(engine.restart()).rejects.toThrow("no memory")
    await expect(collect(start(engine))).rejects.toBeInstanceOf(EngineDeadError)
    await engine.shutdown(0)
  })

  test("does not come back behind a shutdown", async () => {
    const { engine, core } = makeFakeEngine()
    core.die("a bug")
    const gate = Promise.withResolvers<void>()
    core.restart = () => gate.promise
    const restarted = engine.restart()
    await engine.shutdown(0)
    gate.resolve()
    await restarted
    expect(engine.notReadyReason()).not.toBeNull()
  })
})

describe("shutdown", () => {
  test("waits for what runs, refuses what is new", async () => {
    const { engine, core } = makeFakeEngine({ reply: "abc<|eos|>", stepMs: 1 })
    const done = collect(start(engine))
    const closed = engine.shutdown(10_000)
    await expect(collect(start(engine))).rejects.toMatchObject({ status: 503 })
    expect(joined(await done)).toMatchObject({ text: "abc", finishReason: "stop" })
    await closed
    expect(core.numCloses).toBe(1)
    expect(engine.deathReason()).toContain("shut down")
    await expect(collect(start(engine))).rejects.toBeInstanceOf(EngineDeadError)
  })

  test("aborts what is left when the time is up, with the text so far", async () => {
    const { engine, core } = makeFakeEngine({ reply: ENDLESS, stepMs: null })
    const delta = collect(start(engine, { sampling: { stop: ["zzz"] } }))
    const final = collect(start(engine, { outputKind: "final", sampling: { n: 2 } }))
    for (let i = 0; i < 3; i++) core.step()
    await engine.shutdown(1)
    expect(joined(await delta)).toMatchObject({ text: "abc", finishReason: "abort" })
    expect((await final).map(({ text, finishReason }) => [text, finishReason])).toEqual([
      ["abc", "abort"],
      ["abc", "abort"],
    ])
    expect(core.aborted).toHaveLength(3)
    expect(core.numCloses).toBe(1)
  })

  test("with nothing live it closes at once, and only once", async () => {
    const { engine, core } = makeFakeEngine()
    await Promise.all([engine.shutdown(10_000), engine.shutdown(10_000)])
    await engine.shutdown(10_000)
    expect(core.numCloses).toBe(1)
  })

  test("a second call with less patience cuts the wait", async () => {
    const { engine, core } = makeFakeEngine({ reply: ENDLESS, stepMs: null })
    const done = collect(start(engine))
    core.step()
    const patient = engine.shutdown(60_000)
    await engine.shutdown(0)
    await patient
    expect(joined(await done)).toMatchObject({ text: "a", finishReason: "abort" })
    expect(core.numCloses).toBe(1)
  })

  test("a dead engine closes too", async () => {
    const { engine, core } = makeFakeEngine()
    core.die("gone")
    await engine.shutdown(60_000)
    expect(core.numCloses).toBe(1)
    expect(engine.deathReason()).toContain("gone")
  })

  test("leaving the last request ends the wait", async () => {
    const { engine } = makeFakeEngine({ reply: ENDLESS, stepMs: null })
    const stream = start(engine)
    const read = stream.next()
    const closed = engine.shutdown(60_000)
    await stream.return()
    await closed
    await read
    expect(engine.numUnfinished()).toBe(0)
  })
})

test("prefix cache resets go to the core", async () => {
  const { engine, core } = makeFakeEngine()
  expect(await engine.control.resetPrefixCache(true)).toBe(true)
  expect(core.calls).toEqual([{ name: "resetPrefixCache", args: [true] }])
})
