import { expect, test } from "bun:test"
import type { SchedulePlan } from "../../../src/core/schedule-plan.ts"
import { stepCost, type ModelCost } from "../../../src/exec/model-cost.ts"
import { leastSeconds } from "../../../src/bench/machine-limits.ts"

const attention = (window: number) => ({ window, bytesPerToken: 2, products: 3, format: "bf16" as const })
const MODEL: ModelCost = {
  layerBytes: 1000, headBytes: 100, layerProducts: { int8: 10, bf16: 0, f32: 0 },
  headProducts: { int8: 0, bf16: 5, f32: 0 },
  attentions: [attention(0), attention(4)], experts: [], stateBytes: 0,
}

function plan(...requests: { computed: number; scheduled: number; samples: boolean }[]): SchedulePlan {
  return {
    requests: requests.map(({ computed, scheduled, samples }) => ({
      numComputedTokens: computed, numScheduledTokens: scheduled, samples,
    })),
  } as unknown as SchedulePlan
}

test("a decode step reads all weights once, and each request's cache as far as its windows reach", () => {
  const step = plan({ computed: 9, scheduled: 1, samples: true }, { computed: 1, scheduled: 1, samples: true })
  const cost = stepCost(MODEL, step)
  expect(cost.bytes).toBe(1100 + 2 * (10 + 4 + 2 + 2))
  expect(cost.products).toEqual({ int8: 20, bf16: 10 + 3 * (10 + 4 + 2 + 2), f32: 0 })
})

test("a part of a prompt leaves the head out, and its rows see each other in a triangle", () => {
  const cost = stepCost({ ...MODEL, attentions: [attention(0)] }, plan({ computed: 0, scheduled: 5, samples: false }))
  expect(cost.bytes).toBe(1000 + 2 * 5)
  expect(cost.products).toEqual({ int8: 50, bf16: 3 * (1 + 2 + 3 + 4 + 5), f32: 0 })
})

test("a window bounds what a row sees", () => {
  const cost = stepCost({ ...MODEL, attentions: [attention(2)] }, plan({ computed: 1, scheduled: 4, samples: false }))
  expect(cost.products.bf16).toBe(3 * (2 + 2 + 2 + 2))
  expect(cost.bytes).toBe(1000 + 2 * 2)
})

test("of experts those are read that tokens go to", () => {
  const experts = [{ numExperts: 8, perToken: 2, bytesPerExpert: 100, products: 7, format: "int8" as const }]
  const model = { ...MODEL, attentions: [], experts }
  const one = stepCost(model, plan({ computed: 9, scheduled: 1, samples: false }))
  expect(one.bytes).toBeCloseTo(1000 + 2 * 100, 9)
  expect(one.products.int8).toBe(10 + 2 * 7)
  const two = stepCost(model, plan({ computed: 0, scheduled: 2, samples: false }))
  expect(two.bytes).toBeCloseTo(1000 + 100 * 8 * (1 - 0.75 ** 2), 9)
  expect(stepCost(model, plan({ computed: 0, scheduled: 500, samples: false })).bytes).toBeCloseTo(1800, 6)
})

test("a step takes at least the longer of its reads and its products", () => {
  const limits = { bytesPerSecond: 100, productsPerSecond: { int8: 10, bf16: 5, f32: 1 } }
  expect(leastSeconds(limits, { bytes: 1000, products: { int8: 10, bf16: 5, f32: 1 } })).toBe(10)
  expect(leastSeconds(limits, { bytes: 100, products: { int8: 10, bf16: 5, f32: 1 } })).toBe(3)
})
