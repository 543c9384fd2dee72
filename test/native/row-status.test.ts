/** What is wrong with one row is that row's alone; and rows that are there to fill up a step do nothing. */
import { describe, expect, test } from "bun:test"
import { DTYPE, type ElementType } from "../../ffi/abi.ts"
import { randomRows } from "./blocks.ts"
import { compare, hasLibraries, isas, libraries, matrix, normals, place, reference, type Place } from "./harness.ts"

const INVALID = 1
const NUMERIC = 7

describe("a row that is not there", () => {
  compare("of an embedding is 0, and told of", 1e-13, (at) => {
    const [n, c] = [20, 70]
    const weight = at.stream.createWeight({ n, c, numExperts: 0, compute: "auto" }, [
      at.part(randomRows("BF16", n, c, 3), n, "BF16"),
    ])
    const ids = Int32Array.of(3, -1, 19, 20, 0, 2 ** 31 - 1, -(2 ** 31), 5)
    const y = at.put(normals(1, ids.length * c))
    const status = at.put(new Int32Array(ids.length).fill(-7))
    at.run("bz_embedding", {
      num_tokens: ids.length, weight: weight.address, ids: at.put(ids).at, y: matrix(y, c), scale: 2,
      row_status: status.at,
    })
    expect([...status]).toEqual([0, 1, 0, 1, 0, 1, 1, 0])
    for (const row of [1, 3, 5, 6]) expect(y.subarray(row * c, (row + 1) * c).every((value) => value === 0)).toBe(true)
    weight.destroy()
    return y
  })

  compare("of a gather is 0, and told of", 0, (at) => {
    const c = 33
    const rows = Int32Array.of(4, -1, 0, 5, 2)
    const y = at.put(normals(1, rows.length * c))
    const status = at.put(new Int32Array(rows.length).fill(-7))
    at.run("bz_gather_rows", {
      num_rows: rows.length, num_source_rows: 5, x: matrix(at.put(normals(2, 5 * c)), c), y: matrix(y, c),
      rows: at.put(rows).at, row_status: status.at,
    })
    expect([...status]).toEqual([0, INVALID, 0, INVALID, 0])
    for (const row of [1, 3]) expect(y.subarray(row * c, (row + 1) * c).every((value) => value === 0)).toBe(true)
    return y
  })

  test.skipIf(!hasLibraries)("fails the op where nobody asks for each row", () => {
    for (const library of libraries) {
      const at = place(library, { numThreads: 2 })
      const gather = { num_source_rows: 2, x: matrix(at.put(normals(1, 16)), 8), y: matrix(at.put(normals(2, 16)), 8) }
      expect(() => at.run("bz_gather_rows", { num_rows: 2, ...gather, rows: at.put(Int32Array.of(0, 2)).at }))
        .toThrow("rows[1] is 2, x has 2 rows")
      if (!library.traits().isAsync) expect(() => at.stream.synchronize()).toThrow()
      at.close()
    }
  })
})

describe("rope_kv", () => {
  const [h, k, d, p, blocks] = [3, 2, 24, 10, 4]
  const width = (h + 2 * k) * d
  const table = Float32Array.from({ length: p * d }, (_, i) => (i % d < d / 2 ? Math.cos(i) : Math.sin(i)))

  /** The rows it leaves, and the statuses. */
  function rope(at: Place, positions: number[], slots: number[], withStatus: boolean) {
    const t = positions.length
    const qkv = at.put(normals(4, t * (width + 3)))
    const bytes = at.library.kvCacheBytes({ numKvHeads: k, headDim: d, blockSize: 16, numBlocks: blocks, dtype: "F32" })
    const [kCache, vCache] = [at.bytes(bytes), at.bytes(bytes)]
    const status = at.put(new Int32Array(t).fill(-7))
    at.run("bz_rope_kv", {
      num_tokens: t, num_heads: h, num_kv_heads: k, head_dim: d, rot_dim: d, num_positions: p, block_size: 16,
      num_blocks: blocks, kv_dtype: DTYPE.F32, eps: 1e-6, qkv: matrix(qkv, width, width + 3),
      positions: at.put(Int32Array.from(positions)).at, slots: at.put(Int32Array.from(slots)).at,
      cos_sin: at.put(table).at, q_norm: at.put(normals(5, d)).at, k_norm: at.put(normals(6, d)).at,
      k_cache: kCache.address, v_cache: vCache.address, row_status: withStatus ? status.at : 0,
    })
    return { qkv, status: [...status], caches: Buffer.concat([kCache.view, vCache.view]) }
  }

  // Many tokens: threads begin in the middle of one.
  for (const t of [7, 61])
    compare(`leaves ${t} tokens' wrong rows as they were, and stores nothing for them`, 1e-13, (at) => {
      const positions = Array.from({ length: t }, (_, i) => (i % 5 === 1 ? (i % 2 === 0 ? -1 : p) : i % p))
      const slots = Array.from({ length: t }, (_, i) => (i % 5 === 3 ? (i % 2 === 0 ? 64 : -2) : i))
      const isWrong = (i: number): boolean => i % 5 === 1 || i % 5 === 3
      const spoiled = rope(at, positions, slots, true)
      expect(spoiled.status).toEqual(positions.map((_, i) => (isWrong(i) ? INVALID : 0)))
      const right = (values: number[], other: number): number[] => values.map((x, i) => (isWrong(i) ? other : x))
      const sound = rope(at, right(positions, 0), right(slots, -1), false)
      expect(sound.status.every((each) => each === -7)).toBe(true)
      expect(Buffer.compare(spoiled.caches, sound.caches)).toBe(0)
      const original = normals(4, t * (width + 3))
      for (let i = 0; i < t; i++) {
        const row = (values: Float32Array) => [...values.subarray(i * (width + 3), (i + 1) * (width + 3))]
        expect(row(spoiled.qkv)).toEqual(row(isWrong(i) ? original : sound.qkv))
      }
      return spoiled.qkv
    })
})

describe("scatter_ids", () => {
  compare("moves what has both its rows", 0, (at) => {
    const dst = at.put(Int32Array.of(-1, -2, -3, -4, -5))
    at.run("bz_scatter_ids", {
      num_ids: 6, num_src: 4, num_dst: 5, src: at.put(Int32Array.of(10, 11, 12, 13)).at,
      src_rows: at.put(Int32Array.of(3, 0, 4, -1, 1, 2)).at, dst_rows: at.put(Int32Array.of(0, 4, 1, 2, 5, -1)).at,
      dst: dst.at,
    })
    expect([...dst]).toEqual([13, -2, -3, -4, 10])
    return Float32Array.from(dst)
  })
})

describe("check_finite", () => {
  for (const c of [1, 15, 16, 64, 83])
    compare(`finds every value that is none, wherever it is, in rows of ${c}`, 0, (at) => {
      const stride = c + 5
      const x = at.put(normals(c, 4 * c * stride, 1e38 / 8).fill(NaN, 4 * c * stride - 5))
      for (let r = 0; r < c; r++) {
        x.fill(NaN, r * stride + c, (r + 1) * stride) // between the rows: nobody's
        x[r * stride + r] = [NaN, Infinity, -Infinity][r % 3]!
      }
      for (let r = c; r < 4 * c; r++) x.fill(Infinity, r * stride + c, (r + 1) * stride)
      const status = at.put(new Int32Array(4 * c).fill(-7))
      at.run("bz_check_finite", { num_rows: 4 * c, x: matrix(x, c, stride), row_status: status.at })
      expect([...status]).toEqual(Array.from({ length: 4 * c }, (_, r) => (r < c ? NUMERIC : 0)))
      return Float32Array.from(status)
    })
})

describe("padding", () => {
  const [h, k, d, blocks, columns] = [4, 2, 32, 8, 3]
  const width = (h + 2 * k) * d
  const shape = { num_heads: h, num_kv_heads: k, head_dim: d, block_size: 16, num_blocks: blocks }

  /** One step of three requests with 1, 4 and 2 new tokens, filled up with padding; the attention of all rows. */
  function step(at: Place, dtype: "F32" | "BF16", paddedTokens: number, paddedRequests: number) {
    const cached = [30, 0, 17]
    const fresh = [1, 4, 2]
    const t = 7 + paddedTokens
    const r = 3 + paddedRequests
    const bytes = at.library.kvCacheBytes({ numKvHeads: k, headDim: d, blockSize: 16, numBlocks: blocks, dtype })
    const [kCache, vCache] = [at.bytes(bytes), at.bytes(bytes)]
    kCache.view.fill(0)
    vCache.view.fill(0)
    const table = Array.from({ length: r * columns }, (_, i) => (i < 3 * columns ? 1 + (i % 7) : -1))
    const slots: number[] = []
    const starts = [0]
    cached.forEach((length, request) => {
      for (let i = length; i < length + fresh[request]!; i++)
        slots.push(table[request * columns + Math.floor(i / 16)]! * 16 + (i % 16))
      starts.push(slots.length)
    })
    const real = normals(9, 7 * width)
    const qkv = at.put(new Float32Array(t * width))
    qkv.set(real)
    const ints = (values: number[]): number => at.put(Int32Array.from(values)).at
    const status = at.put(new Int32Array(t).fill(-7))
    const fill = (values: number[], length: number, value: number): number[] =>
      [...values, ...Array.from({ length: length - values.length }, () => value)]
    const caches = { ...shape, kv_dtype: DTYPE[dtype], k_cache: kCache.address, v_cache: vCache.address }
    at.run("bz_rope_kv", {
      ...caches, num_tokens: t, rot_dim: d, num_positions: 64, eps: 1e-6, qkv: matrix(qkv, width),
      positions: ints(fill(slots.map((_, i) => i), t, 0)), slots: ints(fill(slots, t, -1)),
      cos_sin: at.put(normals(10, 64 * d)).at, q_norm: at.put(normals(11, d)).at, row_status: status.at,
    })
    const out = at.put(new Float32Array(t * h * d).fill(NaN))
    at.run("bz_attention", {
      ...caches, num_tokens: t, num_requests: r, causal: 1, scale: 0.2, block_table_stride: columns,
      q: matrix(qkv, h * d, width), out: matrix(out, h * d), query_start: ints(fill(starts, r + 1, 7)),
      seq_lens: ints(fill(cached.map((length, i) => length + fresh[i]!), r, 0)), block_table: ints(table),
    })
    return { qkv, out, status: [...status], caches: Buffer.concat([kCache.view, vCache.view]) }
  }

  for (const dtype of ["F32", "BF16"] as const)
    for (const [tokens, requests] of [[0, 0], [1, 0], [9, 0], [0, 5], [9, 13]] as const)
      compare(`of ${tokens} tokens, ${requests} requests changes nothing and stays finite, ${dtype}`, 3e-11, (at) => {
        const plain = step(at, dtype, 0, 0)
        const padded = step(at, dtype, tokens, requests)
        expect(padded.status.every((each) => each === 0)).toBe(true)
        expect(Buffer.compare(padded.caches, plain.caches)).toBe(0)
        expect(padded.out.slice(0, plain.out.length)).toEqual(Float32Array.from(plain.out))
        expect([...padded.out, ...padded.qkv].every(Number.isFinite)).toBe(true)
        return padded.out
      })
})

describe.skipIf(!hasLibraries)("the reference, in other element types", () => {
  const word = new DataView(new ArrayBuffer(4))
  const toBf16 = (value: number): number => {
    word.setFloat32(0, value)
    const bits = word.getUint32(0)
    return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16
  }
  const toF16 = (value: number): number => {
    word.setFloat16(0, value)
    return word.getUint16(0)
  }
  const from = (dtype: ElementType, bits: number): number => {
    if (dtype === "BF16") {
      word.setUint32(0, bits * 65_536)
      return word.getFloat32(0)
    }
    word.setUint16(0, bits)
    return word.getFloat16(0)
  }

  for (const [dtype, to] of [["BF16", toBf16], ["F16", toF16]] as const)
    test(`computes what float32 gives for the same values, rounded: ${dtype}`, () => {
      const at = place(reference!)
      const [t, c] = [3, 40]
      const halves = (values: Float32Array) => at.put(Uint16Array.from(values, to))
      const widen = (values: Uint16Array) => Float32Array.from(values, (bits) => from(dtype, bits))
      const narrow = (data: { readonly at: number }, cols: number) => ({ ...matrix(data, cols), dtype })
      const x = halves(normals(1, t * 2 * c))
      const y = halves(normals(2, t * c))
      const exact = { x: at.put(widen(x)), y: at.put(widen(y)) }
      at.run("bz_gated_act", { num_tokens: t, x: matrix(exact.x, 2 * c), y: matrix(exact.y, c) })
      at.run("bz_gated_act", { num_tokens: t, x: narrow(x, 2 * c), y: narrow(y, c) })
      expect([...y]).toEqual(Array.from(exact.y, to))
      const w = at.put(normals(3, c))
      const [norm, wide] = [at.put(new Uint16Array(t * c)), at.put(new Float32Array(t * c))]
      at.run("bz_rms_norm", { num_tokens: t, eps: 1e-5, x: narrow(x, c), y: narrow(norm, c), w: w.at })
      at.run("bz_rms_norm", { num_tokens: t, eps: 1e-5, x: matrix(exact.x, c), y: matrix(wide, c), w: w.at })
      expect([...norm]).toEqual(Array.from(wide, to))
      const weight = at.stream.createWeight({ n: 8, c, numExperts: 0, compute: "float32" }, [
        at.part(randomRows("F32", 8, c, 1), 8, "F32"),
      ])
      const [logits, same] = [at.put(new Float32Array(t * 8)), at.put(new Float32Array(t * 8))]
      at.run("bz_linear", { num_tokens: t, weight: weight.address, x: narrow(x, c), y: matrix(logits, 8) })
      at.run("bz_linear", { num_tokens: t, weight: weight.address, x: matrix(exact.x, c), y: matrix(same, 8) })
      expect([...logits]).toEqual([...same])
      weight.destroy()
      at.close()
    })

  test("and every level of the CPU library refuses them", () => {
    for (const library of libraries.slice(1))
      for (const isa of isas) {
        const at = place(library, { isa })
        const x = at.put(new Uint16Array(64))
        const half = { ...matrix(x, 8), dtype: "BF16" } as const
        expect(() => at.run("bz_add", { num_tokens: 1, x: half, y: half })).toThrow("dtype is bf16, which this library")
        at.close()
      }
  })
})
