import { describe, expect, test } from "bun:test"
import { KVMemory } from "../../../src/exec/kv-cache.ts"
import type { KVCacheGroup } from "../../../src/core/kv/kv-spec.ts"
import type { Device } from "../../../src/tensor/device.ts"

const MIB = 1024 * 1024

const LATENT = { kind: "mla" as const, blockSize: 16, rank: 48, ropeDim: 16, dtypeBytes: 2 }

/** A cache of two layers, whose blocks take `blockBytes` in each of the four pools; pool p begins at p * 2^40. */
function makeCache(blockBytes: number) {
  const touched: [pool: number, offset: number, bytes: number][] = []
  let pools = 0
  const device = {
    alloc: () => pools++ * 2 ** 40,
    stream: {
      touch: (address: number, bytes: number) =>
        touched.push([Math.floor(address / 2 ** 40), address % 2 ** 40, bytes]),
    },
    dispose: () => (pools = 0),
  } as unknown as Device
  const spec = { kind: "full" as const, blockSize: 16, numKVHeads: 1, headDim: 64, headDimV: 64, dtypeBytes: 2 }
  const groups: KVCacheGroup[] = [{ spec, layers: [0, 1], pageBytes: 2 * blockBytes }]
  return { cache: new KVMemory(device, groups, { blockSize: 16, dtype: "BF16" }), touched }
}

function prepareAll(cache: KVMemory, ids: number[]): number {
  let pieces = 0
  while (cache.prepare(ids)) pieces += 1
  return pieces
}

describe("preparing blocks", () => {
  test("touches each page of each pool that they lie in, once, a page at a time", () => {
    const { cache, touched } = makeCache(MIB)
    cache.layers(5)
    expect(cache.prepare([0, 1])).toBe(true)
    expect(touched).toEqual([[0, 0, 2 * MIB]])
    expect(prepareAll(cache, [0, 1])).toBe(3)
    expect(touched.map(([pool]) => pool)).toEqual([0, 1, 2, 3])
    expect(prepareAll(cache, [1, 0])).toBe(0)
    expect(prepareAll(cache, [1, 4])).toBe(4)
    expect(touched.slice(4)).toEqual([0, 1, 2, 3].map((pool) => [pool, 4 * MIB, MIB])) // a pool's last page is short
  })

  test("sees blocks that lie across pages", () => {
    const { cache, touched } = makeCache(1.5 * MIB)
    cache.layers(8)
    expect(prepareAll(cache, [1])).toBe(8)
    expect([...new Set(touched.map(([, offset]) => offset))]).toEqual([0, 2 * MIB])
  })

  test("has nothing to do without memory, and starts over with new memory", () => {
    const { cache } = makeCache(MIB)
    expect(cache.prepare([0])).toBe(false)
    cache.layers(4)
    expect(prepareAll(cache, [0])).toBe(4)
    cache.free()
    expect(cache.prepare([0])).toBe(false)
    cache.layers(4)
    expect(prepareAll(cache, [0])).toBe(4)
  })
})

test("latents take one pool a layer", () => {
  let pools = 0
  const device = { alloc: (bytes: number) => ++pools * 2 ** 40 + bytes, dispose: () => {} } as unknown as Device
  const groups: KVCacheGroup[] = [{ spec: LATENT, layers: [0, 1, 2], pageBytes: 2048 }]
  const cache = new KVMemory(device, groups, { blockSize: 16, dtype: "BF16" })
  expect(cache.bytesPerBlock).toBe(3 * 2048)
  expect(cache.layers(7).map(({ key, value }) => [key, value]))
    .toEqual([1, 2, 3].map((pool) => [pool * 2 ** 40 + 7 * 2048, 0]))
})

test("latents beside keys and values are refused", () => {
  const full = { kind: "full" as const, blockSize: 16, numKVHeads: 1, headDim: 64, headDimV: 64, dtypeBytes: 2 }
  const groups = [LATENT, full].map((spec, i): KVCacheGroup => ({ spec, layers: [i], pageBytes: 4096 }))
  expect(() => new KVMemory({} as Device, groups, { blockSize: 16, dtype: "BF16" })).toThrow(/latent attention beside/)
})

describe("states", () => {
  const spec = { kind: "state" as const, blockSize: 16, stateSize: 64, dtypeBytes: 4 }
  const full = { kind: "full" as const, blockSize: 16, numKVHeads: 1, headDim: 8, headDimV: 8, dtypeBytes: 2 }
  const place = (groups: KVCacheGroup[]) => {
    const taken: number[] = []
    const device = { alloc: (bytes: number) => taken.push(bytes) * 1000 } as unknown as Device
    const cache = new KVMemory(device, groups, { blockSize: 16, dtype: "BF16" })
    return { layers: cache.layers(5), taken, bytesPerBlock: cache.bytesPerBlock }
  }

  test("have one pool a layer where nothing else is kept", () => {
    const { layers, taken, bytesPerBlock } = place([{ spec, layers: [0, 1], pageBytes: 256 }])
    expect([taken, bytesPerBlock]).toEqual([[1280, 1280], 512])
    expect(layers).toMatchObject([{ key: 1000, value: 0, pageBytes: 256 }, { key: 2000, value: 0, pageBytes: 256 }])
  })

  test("have a part in each pool beside keys and values", () => {
    const groups = [{ spec: full, layers: [1], pageBytes: 512 }, { spec, layers: [0], pageBytes: 512 }]
    const { layers, taken, bytesPerBlock } = place(groups)
    expect([taken, bytesPerBlock]).toEqual([[1280, 1280], 512])
    for (const layer of layers) expect(layer).toMatchObject({ key: 1000, value: 2000, pageBytes: 256, numBlocks: 5 })
  })
})
