import { expect, test } from "bun:test"
import type { EngineConfig } from "../../../src/exec/engine-config.ts"
import { describePlan, planMemory } from "../../../src/exec/memory-plan.ts"
import { engineConfig } from "../../engine-harness.ts"

const MIB = 2 ** 20
const TOTAL_BYTES = 2000 * MIB
const LIBRARIES = { cpu: "", preload: [] }

/** Weights and scratch of 100 MiB each, blocks of 16 tokens that take one MiB, and 1000 of 2000 MiB free. */
function plan(overrides: Partial<EngineConfig>) {
  const config = engineConfig("m", { libraries: LIBRARIES, kvCacheMemoryBytes: null, maxNumSeqs: 256, ...overrides })
  const dims = { numKVHeads: 1, headDim: 2 ** 14, headDimV: 2 ** 14, dtypeBytes: 2 }
  const spec = { kind: "full", blockSize: 16, ...dims } as const
  return planMemory(config, {
    weightBytes: 100 * MIB, bufferBytes: 60 * MIB, libraryBytes: 30 * MIB, promptLogprobsBytes: 10 * MIB,
    bytesPerBlock: MIB, groups: [{ spec, layers: [0], pageBytes: MIB }], modelMaxLen: 1600,
  }, { totalBytes: TOTAL_BYTES, availableBytes: TOTAL_BYTES / 2 })
}

test("the cache gets half of what weights, scratch and texts leave", () => {
  expect([0, 200 * MIB].map((textBytes) => plan({ textBytes }).numBlocks)).toEqual([400, 300])
})

test("a share of the machine's memory is for all of them", () => {
  const share = { memoryUtilization: 0.25 }
  expect([0, 200 * MIB].map((textBytes) => plan({ ...share, textBytes }).numBlocks)).toEqual([300, 100])
})

test("what does not fit is told with the numbers and the flags", () => {
  expect(() => plan({ textBytes: 900 * MIB })).toThrow(
    "weights, scratch and texts need 1.07 GiB; 0.98 GiB are available. HINT: --max-num-batched-tokens makes scratch " +
      "smaller, --max-body-bytes texts")
  const textBytes = 200 * MIB
  expect(() => plan({ textBytes, kvCacheMemoryBytes: 601 * MIB })).toThrow("--kv-cache-memory-bytes asks for")
  expect(plan({ textBytes, kvCacheMemoryBytes: 600 * MIB }).numBlocks).toBe(600)
})

test("the plan tells all of it", () => {
  expect(describePlan(plan({ textBytes: 200 * MIB }))[0]).toBe(
    "memory plan: weights 100 MiB, scratch 100 MiB, texts 200 MiB, KV cache 300 MiB; available 1000 MiB")
})
