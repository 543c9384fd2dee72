import { describe, expect, test } from "bun:test"
import { groupLayers, type KVCacheSpec, type LayerSpec } from "../../../../src/core/kv/kv-spec.ts"
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
/** As a library might say. */
function pageBytes(spec: KVCacheSpec): number {
  if (spec.kind === "state") return spec.stateSize * spec.dtypeBytes
  if (spec.kind === "mla") return spec.blockSize * (spec.rank + spec.ropeDim) * spec.dtypeBytes
  return spec.numKVHeads * spec.blockSize * (spec.headDim + spec.headDimV) * spec.dtypeBytes
}

const limits = { maxModelLen: 16384, maxNumBatchedTokens: 1024 }

function layersOf(numFull: number, numSliding: number): KVCacheSpec[] {
  return [...Array<KVCacheSpec>(numFull).fill(full), ...Array<KVCacheSpec>(numSliding).fill(sliding)]
}

describe("sizing", () => {
  test("page and block bytes", () => {
    const groups = groupLayers(layersOf(32, 0), pageBytes)
    expect(bytesPerBlock(groups)).toBe(32 * pageBytes(full))
    expect(numBlocksFor(groups, 10.5 * bytesPerBlock(groups))).toBe(10)
  })

  test("concurrency of requests of the maximum length", () => {
    expect(maxConcurrency(groupLayers(layersOf(32, 0), pageBytes), 1536, limits)).toBe(1.5)
    expect(capacityTokens(groupLayers(layersOf(32, 0), pageBytes), 1536, limits)).toBe(1.5 * 16384)
    expect(maxConcurrency(groupLayers(layersOf(0, 32), pageBytes), 129 * 3, limits)).toBe(3)
    expect(maxConcurrency(groupLayers(layersOf(16, 16), pageBytes), (1024 + 129) * 3, limits)).toBe(3)
  })

  test("a windowed request never holds more than its own length", () => {
    expect(maxConcurrency(groupLayers(layersOf(0, 2), pageBytes), 64, { ...limits, maxModelLen: 512 })).toBe(2)
  })

  test("the longest request that fits", () => {
    const groups = groupLayers(layersOf(2, 0), pageBytes)
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
    expect(groupLayers(layersOf(0, 4), pageBytes)).toEqual([{ spec: sliding, layers: range(4), pageBytes: 65536 }])
    expect(groupLayers([], pageBytes)).toEqual([])
  })

  test("a mixed model is split into groups of equal size, full attention first", () => {
    const specs = [sliding, full, sliding, sliding, full, sliding]
    expect(groupLayers(specs, pageBytes)).toEqual([
      { spec: full, layers: [1, 4], pageBytes: 65536 },
      { spec: sliding, layers: [0, 3], pageBytes: 65536 },
      { spec: sliding, layers: [2, 5], pageBytes: 65536 },
    ])
    expect(groupLayers(layersOf(4, 5), pageBytes).map((g) => g.layers.length)).toEqual([4, 5])
  })

  test("layers that keep nothing are in no group", () => {
    const specs: LayerSpec[] = [{ kind: "encoder_only" }, full, { kind: "encoder_only" }]
    expect(groupLayers(specs, pageBytes)).toEqual([{ spec: full, layers: [1], pageBytes: 65536 }])
    expect(groupLayers([{ kind: "encoder_only" }], pageBytes)).toEqual([])
  })

  const shapes = (specs: LayerSpec[]) =>
    groupLayers(specs, pageBytes).map((group) => [group.spec.blockSize, group.pageBytes])

  test("smaller pages hold more tokens where that comes out even, and unused bytes where it does not", () => {
    expect(shapes([full, { ...sliding, numKVHeads: 2 }])).toEqual([[16, 65536], [64, 65536]])
    expect(shapes([full, { ...sliding, numKVHeads: 3 }])).toEqual([[16, 65536], [16, 65536]])
    const latent: LayerSpec = { kind: "mla", blockSize: 16, rank: 448, ropeDim: 64, dtypeBytes: 2 }
    expect(shapes([sliding, latent])).toEqual([[64, 65536], [16, 65536]])
  })

  test("tokens' pages grow until a state fits into one, and it is kept as often as they fill", () => {
    const state = { kind: "state", blockSize: 1, stateSize: 80_000, dtypeBytes: 4 } as const
    expect(shapes([state, full])).toEqual([[80, 5 * 65536], [80, 5 * 65536]])
    expect(shapes([{ ...state, stateSize: 100 }, full])).toEqual([[16, 65536], [16, 65536]])
    expect(shapes([{ ...state, blockSize: 32 }])).toEqual([[32, 320_000]])
  })

  test("a library whose pages do not grow with their tokens is refused", () => {
    const odd = (spec: KVCacheSpec) => pageBytes(spec) + (spec.blockSize > 16 ? 64 : 0)
    expect(() => groupLayers([full, { ...sliding, numKVHeads: 2 }], odd)).toThrow("takes 65600 bytes, not 65536")
  })
})
