import { describe, expect, test } from "bun:test"
import { groupLayers, type KVCacheSpec, pageBytes } from "../../../../src/core/kv/kv-spec.ts"
import {
  bytesPerBlock,
  capacityTokens,
  checkRequestFits,
  estimateMaxModelLen,
  maxConcurrency,
  numBlocksFor,
} from "../../../../src/core/kv/sizing.ts"
import { range } from "../harness.ts"

const full: KVCacheSpec = { kind: "full", blockSize: 16, numKVHeads: 8, headDim: 128, headDimV: 128, dtypeBytes: 2 }
const sliding: KVCacheSpec = { ...full, kind: "sliding_window", window: 1024 }
const limits = { maxModelLen: 16384, maxNumBatchedTokens: 1024 }

function layersOf(numFull: number, numSliding: number): KVCacheSpec[] {
  return [...Array<KVCacheSpec>(numFull).fill(full), ...Array<KVCacheSpec>(numSliding).fill(sliding)]
}

describe("sizing", () => {
  test("page and block bytes", () => {
    expect(pageBytes(full)).toBe(8 * 16 * 256 * 2)
    expect(pageBytes({ ...full, headDimV: 0, dtypeBytes: 0.5 })).toBe(8192)
    const groups = groupLayers(layersOf(32, 0))
    expect(bytesPerBlock(groups)).toBe(32 * pageBytes(full))
    expect(numBlocksFor(groups, 10.5 * bytesPerBlock(groups))).toBe(10)
  })

  test("concurrency of requests of the maximum length", () => {
    expect(maxConcurrency(groupLayers(layersOf(32, 0)), 1536, limits)).toBe(1.5)
    expect(capacityTokens(groupLayers(layersOf(32, 0)), 1536, limits)).toBe(1.5 * 16384)
    expect(maxConcurrency(groupLayers(layersOf(0, 32)), 129 * 3, limits)).toBe(3)
    expect(maxConcurrency(groupLayers(layersOf(16, 16)), (1024 + 129) * 3, limits)).toBe(3)
  })

  test("a windowed request never holds more than its own length", () => {
    expect(maxConcurrency(groupLayers(layersOf(0, 2)), 64, { ...limits, maxModelLen: 512 })).toBe(2)
  })

  test("the longest request that fits", () => {
    const groups = groupLayers(layersOf(2, 0))
    const bytes = 11 * bytesPerBlock(groups)
    expect(estimateMaxModelLen(groups, bytes, limits)).toBe(160)
    expect(estimateMaxModelLen(groups, bytes, { ...limits, maxModelLen: 100 })).toBe(100)
    expect(estimateMaxModelLen(groups, bytesPerBlock(groups), limits)).toBe(0)
    expect(() => checkRequestFits(groups, bytes, { ...limits, maxModelLen: 160 })).not.toThrow()
    expect(() => checkRequestFits(groups, bytes, { ...limits, maxModelLen: 161 })).toThrow(
      /maximum length \(161 tokens\) needs .* GiB .* enough for 160 tokens.*--max-model-len/,
    )
    expect(() => checkRequestFits(groups, 0, limits)).toThrow("No memory is left for the KV cache")
  })
})

describe("groups", () => {
  test("layers of one kind are one group", () => {
    expect(groupLayers(layersOf(0, 4))).toEqual([{ spec: sliding, layers: range(4) }])
    expect(groupLayers([])).toEqual([])
  })

  test("a mixed model is split into groups of equal size, full attention first", () => {
    const specs = [sliding, full, sliding, sliding, full, sliding]
    expect(groupLayers(specs)).toEqual([
      { spec: full, layers: [1, 4] },
      { spec: sliding, layers: [0, 3] },
      { spec: sliding, layers: [2, 5] },
    ])
    expect(groupLayers(layersOf(4, 5)).map((g) => g.layers.length)).toEqual([4, 5])
  })

  test("blocks of unequal size cannot share a pool", () => {
    expect(() => groupLayers([full, { ...sliding, headDim: 64 }])).toThrow("cannot share one KV cache")
  })
})
