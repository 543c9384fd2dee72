import { expect, test } from "bun:test"
import { Prng } from "../../src/base/prng.ts"
import type { EngineCoreOutput } from "../../src/core/engine-core-output.ts"
import { OutputDecoder, OutputEncoder } from "../../src/engine/output-codec.ts"

const PLAIN = {
  logprobs: null, promptLogprobs: null, finishReason: null, stopReason: null, events: [], prefillStats: null,
  draft: null,
} as const satisfies Omit<EngineCoreOutput, "requestId" | "newTokenIds">

/** What makes an output more than a token. */
const EXTRAS: readonly Partial<EngineCoreOutput>[] = [
  { newTokenIds: [] }, { newTokenIds: [1, 2] }, { finishReason: "length" }, { finishReason: "stop", stopReason: 7 },
  { logprobs: [{ tokenId: 1, logprob: -0.5 } as never] }, { promptLogprobs: [] },
  { events: [{ type: "queued", timestamp: 1 }] },
  { prefillStats: { numPromptTokens: 3, numCachedTokens: 1, numComputedTokens: 2 } },
  { draft: { numTokens: 2, numAccepted: 1 } },
  { finishReason: "error", failure: { message: "no", isCallersFault: true } as never },
]

const byId = (outputs: readonly EngineCoreOutput[]) =>
  outputs.toSorted((a, b) => (a.requestId < b.requestId ? -1 : a.requestId > b.requestId ? 1 : 0))

test("whatever steps bring, the other side gets, over cloned messages", () => {
  const seed = Date.now() % 2 ** 31
  const prng = new Prng(seed)
  const [encoder, decoder] = [new OutputEncoder(), new OutputDecoder()]
  let live: string[] = []
  let nextId = 0
  for (let step = 0; step < 500; step++) {
    // Mostly the same requests as before, as a server has them.
    if (prng.chance(0.3)) live = live.filter(() => prng.chance(0.8))
    while (prng.chance(0.3)) live.push(`request-${nextId++}`)
    const outputs = live.map((requestId): EngineCoreOutput => ({
      requestId, newTokenIds: [prng.int(0, 150_000)], ...PLAIN, ...(prng.chance(0.1) ? prng.pick(EXTRAS) : {}),
    }))
    const received = decoder.decode(structuredClone(encoder.encode(outputs)))
    expect(byId(received), `seed ${seed}, step ${step}`).toEqual(byId(outputs))
  }
})

test("a step like the one before names nobody", () => {
  const encoder = new OutputEncoder()
  const outputs = ["a", "b"].map((requestId) => ({ requestId, newTokenIds: [1], ...PLAIN }))
  expect(encoder.encode(outputs).requestIds).toEqual(["a", "b"])
  expect(encoder.encode(outputs)).toEqual({ requestIds: null, tokenIds: new Int32Array([1, 1]), others: [] })
  expect(encoder.encode(outputs.slice(1)).requestIds).toEqual(["b"])
  expect(encoder.encode([]).requestIds).toEqual([])
})
