/** Weights of several tensors a part: GPTQ and float8 in blocks. */
import { describe, expect, test } from "bun:test"
import { LINEAR_FINE, type Compute, type DType } from "../../ffi/abi.ts"
import type { NativeWeight, WeightPart } from "../../ffi/weight.ts"
import { Prng } from "../../src/base/prng.ts"
import { randomRows } from "./blocks.ts"
import { compare, cpu, hasLibraries, isas, libraries, matrix, normals, place, refusals, type Place } from "./harness.ts"
import { BF16_BOUND, exactRows, FINE_BOUND, FLOAT_BOUND, INT8_BOUND } from "./linear-bounds.ts"
import { argsOf } from "./place.ts"

type FloatType = "F32" | "BF16" | "F16"

/** Values as a tensor of the type holds them; powers of two and a few bits more, so that each is exact. */
function floatTensor(at: Place, dtype: FloatType, values: readonly number[]) {
  const out = new Uint8Array(values.length * (dtype === "F32" ? 4 : 2))
  const view = new DataView(out.buffer)
  const word = new DataView(new ArrayBuffer(4))
  values.forEach((value, i) => {
    word.setFloat32(0, value)
    if (dtype === "F32") view.setFloat32(4 * i, value, true)
    else if (dtype === "F16") view.setFloat16(2 * i, value, true)
    else view.setUint16(2 * i, word.getUint16(0), true)
  })
  return { ...at.source(out), dtype }
}

function shuffled(prng: Prng, length: number): number[] {
  const order = Array.from({ length }, (_, i) => i)
  for (let i = length - 1; i > 0; i--) {
    const j = prng.int(0, i)
    ;[order[i], order[j]] = [order[j]!, order[i]!]
  }
  return order
}

interface Gptq {
  readonly groupCols: number
  readonly scales: FloatType
  readonly zeros: boolean
  readonly ordered: boolean
}

/** A part of random codes, and the values it means. */
function gptqPart(at: Place, seed: number, n: number, c: number, v: Gptq): { part: WeightPart; values: Float32Array } {
  const prng = new Prng(seed)
  const groups = v.groupCols === 0 ? 1 : Math.ceil(c / v.groupCols)
  const groupOf = new Int32Array(c)
  const order = v.ordered ? shuffled(prng, c) : Array.from({ length: c }, (_, i) => i)
  order.forEach((column, place) => (groupOf[column] = v.groupCols === 0 ? 0 : Math.floor(place / v.groupCols)))
  const scales = Array.from({ length: groups * n }, () => (16 + prng.int(0, 15)) / 2048)
  const zeros = Array.from({ length: groups * n }, () => (v.zeros ? prng.int(0, 15) : 7))
  const codes = new Int32Array((c / 8) * n)
  const values = new Float32Array(n * c)
  for (let row = 0; row < n; row++)
    for (let column = 0; column < c; column++) {
      const code = prng.int(0, 15)
      const word = Math.floor(column / 8) * n + row
      codes[word] = codes[word]! | (code << (4 * (column % 8)))
      const at = groupOf[column]! * n + row
      values[row * c + column] = scales[at]! * (code - (zeros[at]! + 1))
    }
  const packed = new Int32Array(v.zeros ? groups * (n / 8) : 0)
  if (v.zeros)
    zeros.forEach((zero, i) => {
      const word = Math.floor(i / n) * (n / 8) + Math.floor((i % n) / 8)
      packed[word] = packed[word]! | (zero << (4 * (i % 8)))
    })
  const part: WeightPart = {
    n, scheme: "gptq", groupRows: 1, groupCols: v.groupCols, values: { ...at.source(codes), dtype: "I32" },
    scales: floatTensor(at, v.scales, scales), zeros: v.zeros ? { ...at.source(packed), dtype: "I32" } : null,
    groupIndex: v.ordered ? { ...at.source(groupOf), dtype: "I32" } : null,
  }
  return { part, values }
}

function e4m3(bits: number): number {
  const [exponent, mantissa] = [(bits >> 3) & 15, bits & 7]
  const magnitude = exponent === 0 ? mantissa * 2 ** -9 : (1 + mantissa / 8) * 2 ** (exponent - 7)
  return bits & 0x80 ? -magnitude : magnitude
}

interface Fp8 {
  readonly groupRows: number
  readonly groupCols: number
  readonly scales: "F32" | "BF16"
}

function fp8Part(at: Place, seed: number, n: number, c: number, v: Fp8): { part: WeightPart; values: Float32Array } {
  const prng = new Prng(seed)
  const rows = v.groupRows === 0 ? 1 : Math.ceil(n / v.groupRows)
  const columns = v.groupCols === 0 ? 1 : Math.ceil(c / v.groupCols)
  const scales = Array.from({ length: rows * columns }, () => (64 + prng.int(0, 63)) / 4096)
  const bits = Uint8Array.from({ length: n * c }, () => prng.int(0, 126) | (prng.chance(0.5) ? 0x80 : 0))
  const values = Float32Array.from(bits, (x, i) => {
    const [row, column] = [Math.floor(i / c), i % c]
    const scale = (v.groupRows === 0 ? 0 : Math.floor(row / v.groupRows)) * columns
    return e4m3(x) * scales[scale + (v.groupCols === 0 ? 0 : Math.floor(column / v.groupCols))]!
  })
  const part: WeightPart = {
    n, scheme: "fp8", groupRows: v.groupRows, groupCols: v.groupCols, values: { ...at.source(bits), dtype: "F8_E4M3" },
    scales: floatTensor(at, v.scales, scales), zeros: null, groupIndex: null,
  }
  return { part, values }
}

function weightOf(at: Place, parts: readonly WeightPart[], c: number, compute: Compute = "auto"): NativeWeight {
  return at.stream.createWeight({ n: parts.reduce((sum, { n }) => sum + n, 0), c, numExperts: 0, compute }, parts)
}

function rowsOf(at: Place, weight: NativeWeight): Float32Array {
  const { n, c } = weight.shape
  const y = at.put(new Float32Array(n * c))
  const ids = at.put(Int32Array.from({ length: n }, (_, i) => i))
  at.run("bz_embedding", { num_tokens: n, weight: weight.address, ids: ids.at, scale: 1, y: matrix(y, c) })
  return y
}

interface Product {
  readonly t: number
  readonly c: number
  readonly flags?: number
  readonly compute?: Compute
  readonly x?: (length: number) => Float32Array
}

function product(at: Place, parts: readonly WeightPart[], { t, c, flags = 0, compute, x }: Product): Float32Array {
  const weight = weightOf(at, parts, c, compute)
  const { n } = weight.shape
  const rows = at.put(x === undefined ? exactRows(t + c, t, c, c) : x(t * c))
  const y = at.put(normals(9, t * (n + 3)))
  at.run("bz_linear", {
    num_tokens: t, flags, weight: weight.address, x: matrix(rows, c), bias: at.put(normals(8, n)).at,
    y: matrix(y, n, n + 3),
  })
  weight.destroy()
  return y
}

/** Activations that int8 holds exactly whatever their order is: of one magnitude. */
function signs(length: number): Float32Array {
  return normals(2, length).map((value) => (value < 0 ? -63.5 : 63.5))
}

const GPTQ: Record<string, Gptq> = {
  "groups of 32": { groupCols: 32, scales: "F16", zeros: true, ordered: false },
  "groups of 128": { groupCols: 128, scales: "F32", zeros: true, ordered: false },
  "groups of 64 without zeros": { groupCols: 64, scales: "F16", zeros: false, ordered: false },
  "groups of 64 without zeros in bfloat16": { groupCols: 64, scales: "BF16", zeros: false, ordered: false },
  "groups of 16": { groupCols: 16, scales: "BF16", zeros: true, ordered: false },
  "groups of 16 without zeros": { groupCols: 16, scales: "F16", zeros: false, ordered: false },
  "one group a row": { groupCols: 0, scales: "F16", zeros: true, ordered: false },
  "shuffled groups of 32": { groupCols: 32, scales: "F16", zeros: true, ordered: true },
  "shuffled groups of 128 without zeros": { groupCols: 128, scales: "F16", zeros: false, ordered: true },
  "one group a row with an index": { groupCols: 0, scales: "F32", zeros: true, ordered: true },
}

const FP8: Record<string, Fp8> = {
  "blocks of 128 x 128": { groupRows: 128, groupCols: 128, scales: "F32" },
  "a scale a row": { groupRows: 1, groupCols: 0, scales: "BF16" },
  "one scale": { groupRows: 0, groupCols: 0, scales: "F32" },
  "blocks of 7 x 16": { groupRows: 7, groupCols: 16, scales: "BF16" },
}

describe("GPTQ", () => {
  for (const [name, v] of Object.entries(GPTQ)) {
    test.skipIf(!hasLibraries)(`${name}: means scale * (code - zero)`, () => {
      for (const library of libraries) {
        const at = place(library, { numThreads: 2 })
        for (const [n, c] of [[24, 256], [8, 200]] as const) {
          const { part, values } = gptqPart(at, n + c, n, c, v)
          const weight = weightOf(at, [part], c)
          expect([...rowsOf(at, weight)]).toEqual([...values])
          expect(library === libraries[0] ? 4 : weight.info().bits).toBe(4)
          weight.destroy()
        }
        at.close()
      }
    })

    for (const [t, n, c] of [[1, 40, 512], [5, 16, 200], [40, 72, 512]] as const) {
      compare(`${name}, t=${t} n=${n} c=${c}`, FLOAT_BOUND, (at) =>
        product(at, [gptqPart(at, c, n, c, v).part], { t, c, ...(v.ordered && { x: signs }) }))
      compare(`${name}, fine, t=${t} n=${n} c=${c}`, FINE_BOUND, (at) =>
        product(at, [gptqPart(at, c, n, c, v).part], {
          t, c, flags: LINEAR_FINE, x: (length) => normals(3, length, 2),
        }))
    }
    compare(`${name} as float32`, FLOAT_BOUND, (at) =>
      product(at, [gptqPart(at, 1, 40, 256, v).part], { t: 3, c: 256, compute: "float32" }))
    compare(`${name} as bfloat16`, BF16_BOUND, (at) =>
      product(at, [gptqPart(at, 1, 40, 256, v).part], { t: 3, c: 256, compute: "bfloat16" }))
  }

  compare("parts with orders of their own, among others", FLOAT_BOUND, (at) => {
    const [shuffledGroups, plainGroups] = [GPTQ["shuffled groups of 32"]!, GPTQ["groups of 32"]!]
    const parts = [
      at.part(randomRows("Q8_0", 9, 256, 3), 9, "Q8_0"), gptqPart(at, 1, 24, 256, plainGroups).part,
      gptqPart(at, 2, 40, 256, shuffledGroups).part, gptqPart(at, 3, 16, 256, shuffledGroups).part,
      at.part(randomRows("BF16", 5, 256, 4), 5, "BF16"),
    ]
    return product(at, parts, { t: 7, c: 256, x: signs })
  })

  test.skipIf(!hasLibraries)("with shuffled columns depends neither on the batch nor on threads", () => {
    for (const isa of isas) {
      const rows = [1, 2, 3].map((numThreads) => {
        const at = place(cpu!, { isa, numThreads })
        const { part } = gptqPart(at, 5, 48, 256, GPTQ["shuffled groups of 32"]!)
        const all = product(at, [part], { t: 40, c: 256, x: (length) => normals(4, length) })
        const one = product(at, [part], { t: 1, c: 256, x: (length) => normals(4, length) })
        expect([...one]).toEqual([...all.slice(0, 51)])
        const copy = [...all]
        at.close()
        return copy
      })
      expect(rows[1]).toEqual(rows[0]!)
      expect(rows[2]).toEqual(rows[0]!)
    }
  })
})

describe("FP8", () => {
  for (const [name, v] of Object.entries(FP8)) {
    test.skipIf(!hasLibraries)(`${name}: means value * scale`, () => {
      for (const library of libraries) {
        const at = place(library, { numThreads: 2 })
        for (const [n, c] of [[150, 256], [9, 40]] as const) {
          const { part, values } = fp8Part(at, n + c, n, c, v)
          const weight = weightOf(at, [part], c, "float32")
          expect([...rowsOf(at, weight)]).toEqual([...values])
          weight.destroy()
        }
        at.close()
      }
    })

    for (const [t, n, c] of [[1, 150, 512], [40, 33, 200]] as const)
      for (const [compute, bound] of [["auto", BF16_BOUND], ["bfloat16", BF16_BOUND], ["int8", FLOAT_BOUND]] as const)
        compare(`${name} as ${compute}, t=${t} n=${n} c=${c}`, bound, (at) =>
          product(at, [fp8Part(at, c, n, c, v).part], { t, c, compute }))
  }

  compare("in int8 with normal activations", INT8_BOUND, (at) =>
    product(at, [fp8Part(at, 1, 100, 512, FP8["blocks of 128 x 128"]!).part], {
      t: 40, c: 512, compute: "int8", x: (length) => normals(3, length, 2),
    }))

  test.skipIf(!hasLibraries)("NaN stays NaN", () => {
    for (const library of libraries) {
      const at = place(library)
      const { part } = fp8Part(at, 1, 1, 16, FP8["one scale"]!)
      const bits = at.source(Uint8Array.from({ length: 16 }, (_, i) => [0x7f, 0xff, 0x7e, 0][i % 4]!))
      const weight = weightOf(at, [{ ...part, values: { ...bits, dtype: "F8_E4M3" } }], 16, "float32")
      const row = rowsOf(at, weight)
      expect([...row].map(Number.isNaN)).toEqual(Array.from({ length: 16 }, (_, i) => i % 4 < 2))
      expect(row[2]! / e4m3(0x7e)).toBeGreaterThan(0)
      weight.destroy()
      at.close()
    }
  })
})

describe("stacks of experts", () => {
  /** Rows that go to experts in turn, each expert's weight made by `partsOf`. */
  function stackProduct(at: Place, partsOf: (e: number) => WeightPart[], c: number, x: Float32Array): Float32Array {
    const numExperts = 3
    const parts = Array.from({ length: numExperts }, (_, e) => partsOf(e))
    const n = parts[0]!.reduce((sum, part) => sum + part.n, 0)
    const weight = at.stream.createWeight({ n, c, numExperts, compute: "auto" }, parts.flat())
    const rows = x.length / c
    const y = at.put(normals(9, rows * n))
    at.run("bz_linear_experts", {
      num_rows: rows, x_repeat: 1, weight: weight.address, bias: at.put(normals(8, numExperts * n)).at,
      ids: at.put(Int32Array.from({ length: rows }, (_, row) => (row * 5 + 1) % numExperts)).at,
      x: matrix(at.put(x), c), y: matrix(y, n),
    })
    weight.destroy()
    return y
  }

  for (const [name, v] of Object.entries(GPTQ))
    compare(`GPTQ, ${name}`, FLOAT_BOUND, (at) =>
      stackProduct(at, (e) => [gptqPart(at, e + 1, 24, 256, v).part], 256, signs(10 * 256)))
  compare("GPTQ, of which some experts have shuffled groups", FLOAT_BOUND, (at) => {
    const v = GPTQ["shuffled groups of 32"]!
    const partsOf = (e: number): WeightPart[] => [
      gptqPart(at, e + 1, 24, 256, { ...v, ordered: e === 1 }).part, at.part(randomRows("Q8_0", 9, 256, e), 9, "Q8_0"),
      gptqPart(at, e + 7, 16, 256, { ...v, ordered: e !== 1 }).part,
    ]
    return stackProduct(at, partsOf, 256, signs(10 * 256))
  })
  compare("GPTQ, a row for each expert", FLOAT_BOUND, (at) =>
    stackProduct(at, (e) => [gptqPart(at, e, 24, 256, GPTQ["shuffled groups of 32"]!).part], 256, signs(3 * 256)))
  for (const [name, v] of Object.entries(FP8))
    compare(`FP8, ${name}`, BF16_BOUND, (at) =>
      stackProduct(at, (e) => [fp8Part(at, e + 1, 33, 200, v).part], 200, normals(3, 10 * 200)))
})

describe.skipIf(!hasLibraries)("weights of several tensors", () => {
  test("hold what was planned", () => {
    const at = place(cpu!, { numThreads: 2 })
    const bytes = (parts: WeightPart[], c: number, compute: Compute = "auto"): number => {
      const shape = { n: parts.reduce((sum, { n }) => sum + n, 0), c, numExperts: 0, compute }
      const nowhere = <T extends { address: number } | null>(tensor: T): T => tensor && { ...tensor, address: 0 }
      const planned = at.stream.planWeight(shape, parts.map((part) => ({
        ...part, values: nowhere(part.values), scales: nowhere(part.scales), zeros: nowhere(part.zeros),
        groupIndex: nowhere(part.groupIndex),
      })))
      const before = at.stream.memory().weights
      const weight = at.stream.createWeight(shape, parts)
      expect(planned.info()).toEqual(weight.info())
      expect(at.stream.memory().weights - before).toBe(weight.info().bytes)
      // Scratch memory is planned with the weight that is only planned.
      const scratch = [planned, weight].map(({ address }) => {
        at.stream.planBegin()
        at.stream.run("bz_linear", argsOf("bz_linear", {
          num_tokens: 600, weight: address, x: matrix(64, c), y: matrix(64, shape.n),
        }))
        return at.stream.planEnd()
      })
      expect(scratch[0]).toBe(scratch[1]!)
      const held = weight.info().bytes
      for (const each of [planned, weight]) each.destroy()
      expect(at.stream.memory().weights).toBe(before)
      return held
    }
    const gptq = (name: string, n: number, c: number) => gptqPart(at, 1, n, c, GPTQ[name]!).part
    // 4 bits, and a scale and a minimum in float32 for 32 values: 6 bits; in float16 alone: 4.5 bits.
    expect(bytes([gptq("groups of 128", 64, 512)], 512)).toBe((64 * 512 * 6) / 8 + 64)
    expect(bytes([gptq("groups of 64 without zeros", 64, 512)], 512)).toBe((64 * 512 * 4.5) / 8 + 64)
    expect(bytes([gptq("shuffled groups of 32", 64, 512)], 512)).toBe((64 * 512 * 6) / 8 + 64 + 512 * 4)
    expect(bytes([gptq("shuffled groups of 32", 64, 512), gptq("shuffled groups of 32", 16, 512)], 512))
      .toBe((80 * 512 * 6) / 8 + 2 * (64 + 512 * 4))
    expect(bytes([gptq("shuffled groups of 32", 64, 512)], 512, "bfloat16")).toBe(64 * 512 * 2 + 64)
    expect(bytes([fp8Part(at, 1, 64, 512, FP8["one scale"]!).part], 512)).toBe(64 * 512 * 2 + 64)
    at.close()
  })

  type Change = (part: WeightPart) => Partial<WeightPart>
  const change = (make: (at: Place) => WeightPart, over: Change) => (at: Place): void => {
    const part = make(at)
    weightOf(at, [{ ...part, ...over(part) }], 64).destroy()
  }
  const gptq = (at: Place): WeightPart => gptqPart(at, 1, 16, 64, GPTQ["shuffled groups of 32"]!).part
  const fp8 = (at: Place): WeightPart => fp8Part(at, 1, 16, 64, FP8["blocks of 128 x 128"]!).part
  const typed = <T extends { dtype: DType }>(tensor: T | null, dtype: DType): T => ({ ...tensor!, dtype })
  const shorter = <T extends { bytes: number }>(tensor: T | null): T => ({ ...tensor!, bytes: tensor!.bytes - 4 })
  const cases: [RegExp, (at: Place) => void][] = [
    [/values of GPTQ are i32, not u8/, change(gptq, ({ values }) => ({ values: typed(values, "U8") }))],
    [/group_rows is 2, GPTQ has 1/, change(gptq, () => ({ groupRows: 2 }))],
    [/group_cols is 48, must be 0, 16, 32, 64 or 128/, change(gptq, () => ({ groupCols: 48 }))],
    [/values have 508 bytes, \[16, 64\] of i32 needs 512/, change(gptq, ({ values }) => ({ values: shorter(values) }))],
    [/scales are i8/, change(gptq, ({ scales }) => ({ scales: typed(scales, "I8") }))],
    [/scales have 60 bytes, .* needs 64/, change(gptq, ({ scales }) => ({ scales: shorter(scales) }))],
    [/scales have 0 bytes/, change(gptq, () => ({ scales: null }))],
    [/zeros have 12 bytes, .* needs 16/, change(gptq, ({ zeros }) => ({ zeros: shorter(zeros) }))],
    [/zeros are u8 of 16 rows/, change(gptq, ({ zeros }) => ({ zeros: typed(zeros, "U8") }))],
    [/group_index is u32, must be i32/, change(gptq, ({ groupIndex }) => ({ groupIndex: typed(groupIndex, "U32") }))],
    [/values of FP8 are f8_e4m3, not u8/, change(fp8, ({ values }) => ({ values: typed(values, "U8") }))],
    [/scales are f16/, change(fp8, ({ scales }) => ({ scales: typed(scales, "F16") }))],
    [/FP8 has values and scales alone/, change(fp8, ({ scales }) => ({ zeros: scales }))],
  ]
  for (const [words, run] of cases)
    test(`refused: ${words.source}`, () => {
      for (const refusal of refusals(run)) {
        expect(refusal.words).toMatch(words)
        expect(refusal.status).toBe(1)
      }
    })

  test("refused: groups that are not there, or not whole", () => {
    const indexed = (index: (i: number) => number) => (at: Place): void => {
      const groupIndex = { ...at.source(Int32Array.from({ length: 64 }, (_, i) => index(i))), dtype: "I32" } as const
      weightOf(at, [{ ...gptq(at), groupIndex }], 64).destroy()
    }
    for (const wrong of [2, -1])
      for (const refusal of refusals(indexed((i) => (i === 63 ? wrong : 0))))
        expect(refusal)
          .toEqual({ status: 1, words: expect.stringMatching(/group_index\[63\] is .*, there are 2 groups/) })
    // The reference has no groups to fill.
    for (const refusal of refusals(indexed(() => 0)).slice(1))
      expect(refusal).toEqual({ status: 2, words: expect.stringMatching(/a group .* has not all its 32 columns/) })
  })
})
