import { describe, expect, test } from "bun:test"
import { DTYPE } from "../../ffi/abi.ts"
import { compare, cpu, hasLibraries, isas, matrix, normals, place, TIMEOUT_MS, type Place } from "./harness.ts"
import { makeTable } from "./paged.ts"

// Float32 products and sums of up to a few thousand terms against float64; the caches hold the same values in both. In
// the processor's matrix tiles queries and weights are two bfloat16 parts, good to 2^-17: that is the larger error.
const BOUND = 3e-11

interface Shape {
  readonly h: number
  readonly k: number
  readonly d: number
  readonly s: number
  readonly dtype?: "F32" | "BF16"
  readonly window?: number
  readonly causal?: boolean
  readonly softcap?: number
  readonly sinks?: boolean
  /** Of each request: [tokens in the cache before this step, tokens of this step]. */
  readonly requests: readonly (readonly [number, number])[]
}

interface Pool {
  readonly kCache: number
  readonly vCache: number
  readonly table: Int32Array & { readonly at: number }
  readonly numBlocks: number
  readonly columns: number
}

/** A cache whose blocks are dealt out in a shuffled order, block 0 to none. */
function makePool(at: Place, v: Shape): Pool {
  const { table, numBlocks, columns } = makeTable(v.requests.map(([a, b]) => a + b), v.s)
  const bytes = at.library.kvCacheBytes({
    numKvHeads: v.k, headDim: v.d, blockSize: v.s, numBlocks, dtype: v.dtype ?? "F32",
  })
  // Freed blocks keep what was in them: it may be NaN, and must not be read.
  const [k, c] = [at.bytes(bytes), at.bytes(bytes)]
  k.view.fill(0xff)
  c.view.fill(0xff)
  return { kCache: k.address, vCache: c.address, table: at.put(table), numBlocks, columns }
}

const made = new Map<string, Float32Array>()

/** q, k and v of one token: a function of the shape, the request and the position alone. */
function qkvOf(v: Shape, request: number, position: number): Float32Array {
  const width = (v.h + 2 * v.k) * v.d
  const key = `${width} ${request}`
  let all = made.get(key)
  if (all === undefined) made.set(key, (all = normals(request + 1, 1400 * width)))
  return all.subarray(position * width, (position + 1) * width)
}

type Spans = readonly (readonly [number, number])[]

interface Stored {
  readonly qkv: number
  readonly stride: number
  readonly queryStart: number
  readonly t: number
}

/** Stores the tokens [from, to) of each request; their q, k and v are returned. */
function storeTokens(at: Place, v: Shape, pool: Pool, spans: Spans): Stored {
  const width = (v.h + 2 * v.k) * v.d
  const t = spans.reduce((sum, [from, to]) => sum + to - from, 0)
  const stride = width + 8
  const qkv = at.put(new Float32Array(t * stride))
  const slots = at.put(new Int32Array(t))
  const queryStart = at.put(new Int32Array(spans.length + 1))
  let row = 0
  spans.forEach(([from, to], r) => {
    for (let p = from; p < to; p++, row++) {
      qkv.set(qkvOf(v, r, p), row * stride)
      slots[row] = (pool.table[r * pool.columns + Math.floor(p / v.s)] as number) * v.s + (p % v.s)
    }
    queryStart[r + 1] = row
  })
  const cache = { kv_dtype: DTYPE[v.dtype ?? "F32"], block_size: v.s, num_blocks: pool.numBlocks }
  const heads = { num_heads: v.h, num_kv_heads: v.k, head_dim: v.d }
  at.run("bz_rope_kv", {
    ...cache, ...heads, num_tokens: t, qkv: matrix(qkv, width, stride), slots: slots.at,
    k_cache: pool.kCache, v_cache: pool.vCache,
  })
  return { qkv: qkv.at, stride, queryStart: queryStart.at, t }
}

/** One step: stores the tokens [from, to) of each request and returns the attention of their rows [rows, H D + 4]. */
function step(at: Place, v: Shape, pool: Pool, spans: Spans): Float32Array {
  const { qkv, stride, queryStart, t } = storeTokens(at, v, pool, spans)
  const cache = { kv_dtype: DTYPE[v.dtype ?? "F32"], block_size: v.s, num_blocks: pool.numBlocks }
  const heads = { num_heads: v.h, num_kv_heads: v.k, head_dim: v.d }
  const seqLens = at.put(Int32Array.from(spans, ([, to]) => to))
  const out = at.put(new Float32Array(t * (v.h * v.d + 4)))
  const sinks = at.put(normals(5, v.h))
  at.run("bz_attention", {
    ...cache, ...heads, num_tokens: t, num_requests: spans.length, window: v.window ?? 0,
    causal: v.causal === false ? 0 : 1,
    scale: 1 / Math.sqrt(v.d), softcap: v.softcap ?? 0, block_table_stride: pool.columns,
    q: matrix(qkv, v.h * v.d, stride), out: matrix(out, v.h * v.d, v.h * v.d + 4), query_start: queryStart,
    seq_lens: seqLens.at,
    block_table: pool.table.at, k_cache: pool.kCache, v_cache: pool.vCache, sinks: v.sinks ? sinks.at : 0,
  })
  return out
}

function runShape(at: Place, v: Shape): Float32Array {
  const pool = makePool(at, v)
  storeTokens(at, v, pool, v.requests.map(([cached]) => [0, cached]))
  return step(at, v, pool, v.requests.map(([cached, fresh]) => [cached, cached + fresh]))
}

const SHAPES: Record<string, Shape> = {
  "one token": { h: 1, k: 1, d: 8, s: 16, requests: [[0, 1]] },
  "decode": { h: 9, k: 3, d: 64, s: 16, requests: [[40, 1], [0, 1], [130, 1]] },
  "decode over chunks": { h: 9, k: 3, d: 64, s: 16, requests: [[1300, 1]] },
  "decode over chunks, many requests": {
    h: 4, k: 2, d: 32, s: 32, requests: [[600, 1], [511, 1], [512, 1], [30, 1], [900, 1]],
  },
  "prefill": { h: 9, k: 3, d: 64, s: 16, requests: [[0, 70], [0, 3]] },
  "prefill over chunks": { h: 2, k: 1, d: 16, s: 16, requests: [[500, 40], [1024, 17]] },
  "mixed steps, empty request": { h: 4, k: 4, d: 24, s: 48, requests: [[17, 1], [5, 60], [3, 0], [64, 2]] },
  "one key head": { h: 71, k: 1, d: 64, s: 16, requests: [[33, 2]] },
  "odd head sizes": { h: 3, k: 3, d: 40, s: 16, requests: [[50, 5]] },
  "head size 80": { h: 4, k: 2, d: 80, s: 16, requests: [[20, 9]] },
  "head size 256": { h: 2, k: 1, d: 256, s: 16, requests: [[100, 4]] },
  "window": { h: 4, k: 2, d: 32, s: 16, window: 20, requests: [[100, 40], [10, 3]] },
  "window over chunks": { h: 2, k: 2, d: 16, s: 16, window: 600, requests: [[1200, 3], [550, 70]] },
  "softcap and sinks": { h: 4, k: 2, d: 32, s: 16, softcap: 2, sinks: true, requests: [[60, 10], [700, 1]] },
  "sinks and window": { h: 4, k: 2, d: 32, s: 16, window: 33, sinks: true, requests: [[60, 10], [700, 1]] },
  "not causal": { h: 4, k: 2, d: 32, s: 16, causal: false, requests: [[0, 37], [20, 5]] },
}

describe("attention", () => {
  for (const dtype of ["F32", "BF16"] as const)
    for (const [name, shape] of Object.entries(SHAPES))
      compare(`${dtype} ${name}`, BOUND, (at) => runShape(at, { ...shape, dtype }))
})

describe("a row's attention", () => {
  const shape: Shape = { h: 6, k: 2, d: 64, s: 16, dtype: "BF16", requests: [[0, 700], [0, 90]] }
  const width = shape.h * shape.d + 4
  for (const window of [0, 100]) {
    test.skipIf(!hasLibraries)(`is the same however the prompt is cut, window ${window}`, () => {
      for (const isa of isas) {
        const at = place(cpu!, { isa, numThreads: 2 })
        const v = { ...shape, window }
        const whole = makePool(at, v)
        const once = step(at, v, whole, [[0, 700], [0, 90]])
        const pieces = makePool(at, v)
        const cuts = [[0, 1], [1, 64], [64, 333], [333, 699], [699, 700]] as const
        const rows: Float32Array[] = []
        cuts.forEach(([from, to], i) => {
          const other = i < 4 ? ([i * 22, (i + 1) * 22] as const) : ([88, 90] as const)
          rows.push(step(at, v, pieces, [[from, to], other]).slice(0, (to - from) * width))
        })
        const cut = Float32Array.from(rows.flatMap((row) => [...row]))
        expect(new Uint32Array(cut.buffer)).toEqual(new Uint32Array(once.slice(0, 700 * width).buffer))
        at.close()
      }
    }, TIMEOUT_MS)
  }
})

describe("rope_kv", () => {
  interface Rope {
    readonly t: number
    readonly d: number
    readonly rot: number
    readonly interleaved?: boolean
    readonly norms?: boolean
  }
  const cases: Rope[] = [
    { t: 1, d: 64, rot: 64 }, { t: 5, d: 64, rot: 32, interleaved: true }, { t: 3, d: 40, rot: 20, norms: true },
    { t: 2, d: 8, rot: 0, norms: true }, { t: 37, d: 128, rot: 128, norms: true, interleaved: true },
  ]
  for (const v of cases) {
    // A handful of float32 roundings.
    compare(JSON.stringify(v), 1e-13, (at) => {
      const [h, k, p, width] = [4, 2, 50, 8 * v.d]
      const qkv = at.put(normals(1, v.t * (width + 3)))
      const positions = at.put(Int32Array.from({ length: v.t }, (_, i) => (i * 13) % p))
      const slots = at.put(Int32Array.from({ length: v.t }, (_, i) => (i % 4 === 3 ? -1 : i + 16)))
      const table = new Float32Array(p * v.rot)
      for (let i = 0; i < p; i++)
        for (let j = 0; j < v.rot / 2; j++) {
          table[i * v.rot + j] = Math.cos(i / 100 ** (j / v.rot))
          table[i * v.rot + v.rot / 2 + j] = Math.sin(i / 100 ** (j / v.rot))
        }
      const cosSin = at.put(table)
      const [qNorm, kNorm] = [at.put(normals(2, v.d)), at.put(normals(3, v.d))]
      const bytes = at.library.kvCacheBytes({ numKvHeads: k, headDim: v.d, blockSize: 16, numBlocks: 4, dtype: "F32" })
      const [kCache, vCache] = [at.bytes(bytes), at.bytes(bytes)]
      at.run("bz_rope_kv", {
        num_tokens: v.t, num_heads: h, num_kv_heads: k, head_dim: v.d, rot_dim: v.rot, num_positions: p,
        interleaved: v.interleaved ? 1 : 0, block_size: 16, num_blocks: 4, kv_dtype: DTYPE.F32, eps: 1e-6,
        qkv: matrix(qkv, width, width + 3), positions: positions.at, slots: slots.at,
        cos_sin: v.rot > 0 ? cosSin.at : 0,
        q_norm: v.norms ? qNorm.at : 0, k_norm: v.norms ? kNorm.at : 0,
        k_cache: kCache.address, v_cache: vCache.address,
      })
      return qkv
    })
  }
})
