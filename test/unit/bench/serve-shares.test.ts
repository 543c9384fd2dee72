import { expect, test } from "bun:test"
import type { Outcome } from "../../../src/bench/serve/request.ts"
import { serveShares } from "../../../src/bench/serve/shares.ts"
import type { ModelCost } from "../../../src/exec/model-cost.ts"

// A step reads 1,000 bytes, and multiplies 10 times a token.
const COST: ModelCost = {
  layerBytes: 1000, headBytes: 0, layerProducts: { int8: 10, bf16: 0, f32: 0 },
  headProducts: { int8: 0, bf16: 0, f32: 0 }, attentions: [], experts: [], stateBytes: 0,
}
const LIMITS = { bytesPerSecond: 10_000, productsPerSecond: { int8: 1000, bf16: 1, f32: 1 } }

function outcome(startMs: number, fields: Partial<Outcome>): Outcome {
  return {
    error: null, startMs, queueMs: 0, ttftMs: 1000, itlsMs: [], latencyMs: 3000, promptTokens: 50, outputTokens: 11,
    text: "", ...fields,
  }
}

test("a lone stream: products of its prompt, reads of its tokens", () => {
  // 500 products take half a second of one; ten steps a tenth each, one second of two.
  expect(serveShares([outcome(0, {})], 3, COST, LIMITS))
    .toEqual({ prefill: 0.5, decode: 0.5, decodeRequests: 1, run: 0.5 })
})

test("streams side by side share what a step reads; waiting side by side counts once", () => {
  const both = [outcome(0, {}), outcome(0, {}), outcome(0, { error: "no", promptTokens: 9999 })]
  expect(serveShares(both, 4, COST, LIMITS)).toEqual({ prefill: 1, decode: 0.5, decodeRequests: 2, run: 0.5 })
  // Two hundred rows at once: their products take longer than reading the weights.
  const many = serveShares(Array.from({ length: 200 }, () => outcome(0, {})), 3, COST, LIMITS)
  expect([many.decodeRequests, many.decode]).toEqual([200, (10 * 2000) / 1000 / 2])
})

test("answers of one token have no decoding", () => {
  const shares = serveShares([outcome(0, { outputTokens: 1, latencyMs: 1000 })], 1, COST, LIMITS)
  expect(shares).toEqual({ prefill: 0.5, decode: NaN, decodeRequests: NaN, run: 0.5 })
})
