import { describe, expect, test } from "bun:test"
import { DTYPE } from "../../ffi/abi.ts"
import {
  compare, cpu, hasLibraries, isas, libraries, matrix, normals, place, refusals, TIMEOUT_MS, type Place,
} from "./harness.ts"
import { makeTable } from "./paged.ts"

// Float32 products and sums of up to a few thousand terms against float64. In a bfloat16 cache the libraries round
// normed latents that differ in float32's last bits, and a few of them round to neighbours.
const BOUND = { F32: 3e-11, BF16: 2e-7 } as const
const INVALID = 1

interface Shape {
  readonly h: number
  readonly rank: number
  readonly rope: number
  readonly s: number
  readonly dtype: "F32" | "BF16"
  /** Of each request: [tokens in the cache before this step, tokens of this step]. */
  readonly requests: readonly (readonly [number, number])[]
}

interface Pool {
  readonly cache: number
  readonly table: Int32Array & { readonly at: number }
  readonly numBlocks: number
  readonly columns: number
}

/** Freed blocks keep what was in them: it may be NaN, and must not be read. */
function makePool(at: Place, { requests, s, rank, rope, dtype }: Shape): Pool {
  const { table, columns, numBlocks } = makeTable(requests.map(([a, b]) => a + b), s)
  const bytes = at.library.latentCacheBytes({ rank, ropeDim: rope, blockSize: s, numBlocks, dtype })
  const { address, view } = at.bytes(bytes)
  view.fill(0xff)
  return { cache: address, table: at.put(table), numBlocks, columns }
}

const NOPE = 24

function ropeTable(positions: number, dim: number): Float32Array {
  const half = dim / 2
  return Float32Array.from({ length: positions * dim }, (_, at) => {
    const phase = Math.floor(at / dim) / 100 ** ((at % half) / half)
    return at % dim < half ? Math.cos(phase) : Math.sin(phase)
  })
}

const LENGTH = 1400
const made = new Map<string, Float32Array>()

/** `width` values of one token: a function of the shape, the request and the position alone. */
function valuesOf(seed: number, width: number, position: number): Float32Array {
  const key = `${width} ${seed}`
  let all = made.get(key)
  if (all === undefined) made.set(key, (all = normals(seed, LENGTH * width)))
  return all.subarray(position * width, (position + 1) * width)
}

type Spans = readonly (readonly [number, number])[]

/** One step, which stores the tokens [from, to) of each request: the attention of their rows, [rows, H rank + 4]. */
function step(at: Place, v: Shape, pool: Pool, spans: Spans): Float32Array {
  const [row, qDim, t] = [v.rank + v.rope, NOPE + v.rope, spans.reduce((sum, [from, to]) => sum + to - from, 0)]
  const [kv, q] = [at.put(new Float32Array(t * (row + 8))), at.put(new Float32Array(t * (v.h * qDim + 4)))]
  const absorbed = at.put(new Float32Array(t * (v.h * row + 12)))
  const [slots, positions] = [at.put(new Int32Array(t)), at.put(new Int32Array(t))]
  const queryStart = at.put(new Int32Array(spans.length + 1))
  let i = 0
  spans.forEach(([from, to], r) => {
    for (let p = from; p < to; p++, i++) {
      kv.set(valuesOf(3 * r + 1, row, p), i * (row + 8))
      q.set(valuesOf(3 * r + 2, v.h * qDim, p), i * (v.h * qDim + 4))
      absorbed.set(valuesOf(3 * r + 3, v.h * row, p), i * (v.h * row + 12))
      slots[i] = (pool.table[r * pool.columns + Math.floor(p / v.s)] as number) * v.s + (p % v.s)
      positions[i] = p
    }
    queryStart[r + 1] = i
  })
  const shape = {
    num_tokens: t, num_heads: v.h, rank: v.rank, rope_dim: v.rope, block_size: v.s, num_blocks: pool.numBlocks,
    kv_dtype: DTYPE[v.dtype], cache: pool.cache,
  }
  const queries = matrix(absorbed, v.h * row, v.h * row + 12)
  at.run("bz_latent_kv", {
    ...shape, num_positions: LENGTH, interleaved: 1, eps: 1e-6, kv: matrix(kv, row, row + 8),
    q: matrix(q, v.h * qDim, v.h * qDim + 4), out: queries, positions: positions.at, slots: slots.at,
    cos_sin: at.put(ropeTable(LENGTH, v.rope)).at, w: at.put(normals(99, v.rank)).at,
  })
  const out = at.put(new Float32Array(t * (v.h * v.rank + 4)))
  at.run("bz_latent_attention", {
    ...shape, num_requests: spans.length, scale: 1 / Math.sqrt(row), block_table_stride: pool.columns, q: queries,
    out: matrix(out, v.h * v.rank, v.h * v.rank + 4), query_start: queryStart.at,
    seq_lens: at.put(Int32Array.from(spans, ([, to]) => to)).at, block_table: pool.table.at,
  })
  return out
}

function runShape(at: Place, v: Shape): Float32Array {
  const pool = makePool(at, v)
  step(at, v, pool, v.requests.map(([cached]) => [0, cached]))
  return step(at, v, pool, v.requests.map(([cached, fresh]) => [cached, cached + fresh]))
}

const SHAPES: Record<string, Omit<Shape, "dtype">> = {
  "one token": { h: 1, rank: 8, rope: 8, s: 16, requests: [[0, 1]] },
  "decode": { h: 16, rank: 64, rope: 16, s: 16, requests: [[40, 1], [0, 1], [130, 1]] },
  "decode over chunks": { h: 5, rank: 32, rope: 16, s: 16, requests: [[1300, 1]] },
  "more heads than an item takes": { h: 70, rank: 32, rope: 16, s: 32, requests: [[33, 1], [3, 2]] },
  "prefill": { h: 4, rank: 32, rope: 16, s: 16, requests: [[0, 70], [0, 3]] },
  "prefill over chunks": { h: 2, rank: 16, rope: 8, s: 16, requests: [[500, 40], [1024, 17]] },
  "mixed steps, empty request": { h: 4, rank: 48, rope: 24, s: 48, requests: [[17, 1], [5, 60], [3, 0], [64, 2]] },
  "sizes that are no whole registers": { h: 3, rank: 40, rope: 24, s: 16, requests: [[50, 5], [7, 1]] },
  "DeepSeek's sizes": { h: 16, rank: 512, rope: 64, s: 16, requests: [[70, 2], [200, 1]] },
  "the largest sizes": { h: 2, rank: 1024, rope: 256, s: 16, requests: [[20, 3]] },
}

describe("latent attention", () => {
  for (const dtype of ["F32", "BF16"] as const)
    for (const [name, shape] of Object.entries(SHAPES))
      compare(`${dtype} ${name}`, BOUND[dtype], (at) => runShape(at, { ...shape, dtype }))

  test.skipIf(!hasLibraries)("of a row is the same however the prompt is cut", () => {
    for (const isa of isas) {
      for (const dtype of ["F32", "BF16"] as const) {
        const v: Shape = { h: 6, rank: 64, rope: 16, s: 16, dtype, requests: [[0, 700], [0, 90]] }
        const width = v.h * v.rank + 4
        const at = place(cpu!, { isa, numThreads: 2 })
        const once = step(at, v, makePool(at, v), [[0, 700], [0, 90]])
        const pieces = makePool(at, v)
        const cuts = [[0, 1], [1, 64], [64, 333], [333, 699], [699, 700]] as const
        const rows = cuts.map(([from, to], i) => {
          const other = i < 4 ? ([i * 22, (i + 1) * 22] as const) : ([88, 90] as const)
          return step(at, v, pieces, [[from, to], other]).slice(0, (to - from) * width)
        })
        const cut = Float32Array.from(rows.flatMap((row) => [...row]))
        expect(new Uint32Array(cut.buffer)).toEqual(new Uint32Array(once.slice(0, 700 * width).buffer))
        at.close()
      }
    }
  }, TIMEOUT_MS)

  test.skipIf(!hasLibraries)("refuses blocks that the cache lacks, and requests longer than their table", () => {
    for (const library of libraries) {
      const v: Shape = { h: 2, rank: 16, rope: 8, s: 16, dtype: "F32", requests: [[20, 1]] }
      const at = place(library, { numThreads: 2 })
      const pool = makePool(at, v)
      step(at, v, pool, [[0, 20]])
      const run = (block: number, length: number) => () =>
        at.run("bz_latent_attention", {
          num_tokens: 1, num_requests: 1, num_heads: 2, rank: 16, rope_dim: 8, block_size: 16,
          num_blocks: pool.numBlocks, kv_dtype: DTYPE.F32, scale: 1, block_table_stride: 2,
          q: matrix(at.put(normals(1, 48)), 48), out: matrix(at.put(normals(2, 32)), 32),
          query_start: at.put(Int32Array.of(0, 1)).at, seq_lens: at.put(Int32Array.of(length)).at,
          block_table: at.put(Int32Array.of(pool.table[0]!, block)).at, cache: pool.cache,
        })
      expect(run(pool.numBlocks, 20)).toThrow(`block_table[0, 1] is ${pool.numBlocks}`)
      expect(run(-1, 20)).toThrow("block_table[0, 1] is -1")
      expect(run(pool.table[1]!, 33)).toThrow("seq_lens")
      expect(run(pool.table[1]!, 20)).not.toThrow()
      at.close()
    }
  })

  test.skipIf(!hasLibraries)("refuses sizes that no library takes", () => {
    const sized = (rank: number, rope_dim: number) => refusals((at) => {
      const data = at.put(normals(1, 8))
      at.run("bz_latent_attention", {
        num_tokens: 1, num_requests: 1, num_heads: 1, rank, rope_dim, block_size: 16, num_blocks: 1, scale: 1,
        q: matrix(data, rank + rope_dim), out: matrix(data, rank),
      })
    })
    for (const { status, words } of [...sized(12, 8), ...sized(1032, 8), ...sized(0, 8)]) {
      expect(status).toBe(INVALID)
      expect(words).toContain("rank is")
    }
    for (const { status, words } of [...sized(16, 264), ...sized(16, 4)]) {
      expect(status).toBe(INVALID)
      expect(words).toContain("rope_dim is")
    }
  })
})

describe("latent_kv", () => {
  const [h, rank, rope, p] = [3, 24, 16, 10]
  const row = rank + rope

  /** The rows of queries that it leaves, the statuses, and the cache. */
  function store(
    at: Place, positions: number[], slots: number[], options: { withStatus: boolean; interleaved: number },
  ): { out: Float32Array; status: number[]; cache: Uint8Array } {
    const [t, qDim] = [positions.length, NOPE + rope]
    const out = at.put(normals(3, t * h * row))
    const bytes = at.library.latentCacheBytes({ rank, ropeDim: rope, blockSize: 16, numBlocks: 4, dtype: "F32" })
    const cache = at.bytes(bytes)
    const status = at.put(new Int32Array(t).fill(-7))
    at.run("bz_latent_kv", {
      num_tokens: t, num_heads: h, rank, rope_dim: rope, num_positions: p, interleaved: options.interleaved,
      block_size: 16, num_blocks: 4, kv_dtype: DTYPE.F32, eps: 1e-6, kv: matrix(at.put(normals(1, t * row)), row),
      q: matrix(at.put(normals(2, t * h * qDim)), h * qDim), out: matrix(out, h * row),
      positions: at.put(Int32Array.from(positions)).at, slots: at.put(Int32Array.from(slots)).at,
      cos_sin: at.put(ropeTable(p, rope)).at, w: at.put(normals(5, rank)).at, cache: cache.address,
      row_status: options.withStatus ? status.at : 0,
    })
    return { out, status: [...status], cache: cache.view }
  }

  for (const interleaved of [0, 1]) {
    for (const t of [5, 61]) {
      // A handful of float32 roundings.
      compare(`of ${t} tokens, interleaved ${interleaved}, leaves wrong rows as they were`, 1e-13, (at) => {
        const positions = Array.from({ length: t }, (_, i) => (i % 5 === 1 ? (i % 2 === 0 ? -1 : p) : i % p))
        const slots = Array.from({ length: t }, (_, i) => (i % 5 === 3 ? (i % 2 === 0 ? 64 : -2) : i))
        const isWrong = (i: number): boolean => i % 5 === 1 || i % 5 === 3
        const spoiled = store(at, positions, slots, { withStatus: true, interleaved })
        expect(spoiled.status).toEqual(positions.map((_, i) => (isWrong(i) ? INVALID : 0)))
        const right = (values: number[], other: number): number[] => values.map((x, i) => (isWrong(i) ? other : x))
        const sound = store(at, right(positions, 0), right(slots, -1), { withStatus: false, interleaved })
        expect(sound.status.every((each) => each === -7)).toBe(true)
        expect(Buffer.compare(spoiled.cache, sound.cache)).toBe(0)
        const original = normals(3, t * h * row)
        for (let i = 0; i < t; i++) {
          if (isWrong(i)) expect(spoiled.out.subarray(i * h * row, (i + 1) * h * row))
            .toEqual(original.subarray(i * h * row, (i + 1) * h * row))
        }
        return spoiled.out
      })
    }
  }

  test.skipIf(!hasLibraries)("fails the op where nobody asks for each row", () => {
    for (const library of libraries) {
      const at = place(library, { numThreads: 2 })
      const options = { withStatus: false, interleaved: 1 }
      expect(() => store(at, [0, p], [0, 1], options)).toThrow(`positions[1] is ${p}, the table has ${p}`)
      expect(() => store(at, [0, 1], [64, 1], options)).toThrow("slots[0] is 64, the cache has 64")
      if (!library.traits().isAsync) expect(() => at.stream.synchronize()).toThrow()
      at.close()
    }
  })
})
