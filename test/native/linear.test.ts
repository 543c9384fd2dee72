import { describe, expect, test } from "bun:test"
import { LINEAR_ACCUMULATE, LINEAR_FINE, type Compute } from "../../ffi/abi.ts"
import type { KernelLibrary } from "../../ffi/library.ts"
import type { NativeWeight } from "../../ffi/weight.ts"
import { BLOCKS, randomRows, WEIGHT_DTYPES, type WeightDType } from "./blocks.ts"
import { BF16_BOUND, exactRows, FINE_BOUND, FLOAT_BOUND, INT8_BOUND } from "./linear-bounds.ts"
import { compare, cpu, hasLibraries, isas, matrix, nmse, normals, place, reference, type Place } from "./harness.ts"

interface Part {
  readonly dtype: WeightDType
  readonly n: number
}

function weightOf(at: Place, parts: readonly Part[], c: number, compute: Compute = "auto"): NativeWeight {
  const n = parts.reduce((sum, part) => sum + part.n, 0)
  return at.stream.createWeight({ n, c, numExperts: 0, compute }, parts.map((part, i) =>
    at.part(randomRows(part.dtype, part.n, c, i + 1), part.n, part.dtype)))
}

interface Product {
  readonly t: number
  readonly parts: readonly Part[]
  readonly c: number
  readonly compute?: Compute
  readonly padding?: number // values between rows
  readonly bias?: boolean
  readonly accumulate?: boolean
  readonly fine?: boolean
  readonly x?: (t: number, c: number, stride: number) => Float32Array
}

function product(at: Place, options: Product): Float32Array {
  const { t, parts, c, compute, padding = 0, bias = false, accumulate = false, fine = false, x } = options
  const weight = weightOf(at, parts, c, compute)
  const { n } = weight.shape
  const rows = at.put(x === undefined ? exactRows(t + c, t, c, c + padding) : x(t, c, c + padding))
  const y = at.put(normals(9, t * (n + padding)))
  const b = at.put(normals(8, n))
  at.run("bz_linear", {
    num_tokens: t, flags: (accumulate ? LINEAR_ACCUMULATE : 0) | (fine ? LINEAR_FINE : 0),
    weight: weight.address, x: matrix(rows, c, c + padding), bias: bias ? b.at : 0, y: matrix(y, n, n + padding),
  })
  weight.destroy()
  return y
}

/** Columns that a format can have, near the three given. */
function columnsOf(dtype: WeightDType): [number, number, number] {
  const block = BLOCKS[dtype].columns
  return block === 1 ? [576, 33, 1536] : block === 32 ? [576, 32, 1536] : [512, 256, 1536]
}

describe("linear", () => {
  for (const dtype of WEIGHT_DTYPES) {
    const [a, b, c] = columnsOf(dtype)
    const cases: [t: number, n: number, c: number][] = [
      [1, 576, a], [1, 1, c], [1, 15, b], [2, 16, c], [3, 17, a], [8, 100, b], [17, 1, c], [33, 100, a], [64, 17, c],
      [130, 15, b], [130, 100, a],
    ]
    for (const [i, [t, n, columns]] of cases.entries()) {
      const options = { padding: i % 3, bias: i % 2 === 1, accumulate: i % 4 >= 2 }
      compare(`${dtype} t=${t} n=${n} c=${columns} ${JSON.stringify(options)}`, FLOAT_BOUND, (at) =>
        product(at, { t, parts: [{ dtype, n }], c: columns, ...options }))
    }
  }

  for (const compute of ["float32", "bfloat16", "float16", "int8", "int4"] as const) {
    for (const dtype of ["F32", "BF16", "F16", "Q4_K", "Q8_0"] as const) {
      for (const t of [1, 40]) {
        const c = dtype === "Q4_K" ? 256 : dtype === "Q8_0" ? 96 : 100
        compare(`${dtype} as ${compute} t=${t}`, FLOAT_BOUND, (at) =>
          product(at, { t, parts: [{ dtype, n: 33 }], c, compute, bias: true }))
      }
    }
  }

  const mixed: Record<string, Part[]> = {
    "q, k in Q4_K and v in Q6_K": [{ dtype: "Q4_K", n: 33 }, { dtype: "Q4_K", n: 7 }, { dtype: "Q6_K", n: 16 }],
    "one format in sixteen parts": Array.from({ length: 16 }, (_, i) => ({ dtype: "Q4_0", n: i + 1 })),
    "floats among integers": [
      { dtype: "F32", n: 5 }, { dtype: "Q8_0", n: 18 }, { dtype: "BF16", n: 16 }, { dtype: "F16", n: 1 },
    ],
    "formats held alike": [
      { dtype: "Q8_0", n: 9 }, { dtype: "Q5_0", n: 9 }, { dtype: "Q2_K", n: 9 }, { dtype: "Q3_K", n: 9 },
    ],
  }
  for (const [name, parts] of Object.entries(mixed))
    for (const t of [1, 4, 35])
      compare(`${name}, t=${t}`, FLOAT_BOUND, (at) => product(at, { t, parts, c: 512, padding: 3, bias: true }))

  for (const dtype of WEIGHT_DTYPES) {
    const bound = BLOCKS[dtype].columns > 1 ? INT8_BOUND : dtype === "BF16" ? BF16_BOUND : FLOAT_BOUND
    compare(`${dtype} with normal activations`, bound, (at) =>
      product(at, { t: 40, parts: [{ dtype, n: 100 }], c: 512, x: (t, _, stride) => normals(3, t * stride, 2) }))
  }

  for (const dtype of WEIGHT_DTYPES.filter((each) => BLOCKS[each].columns > 1)) {
    for (const [t, n] of [[1, 100], [5, 17], [8, 33], [40, 100]] as const) {
      compare(`${dtype} with fine activations, t=${t} n=${n}`, FINE_BOUND, (at) =>
        product(at, {
          t, parts: [{ dtype, n }], c: 512, fine: true, bias: true, accumulate: t === 5,
          x: (rows, _, stride) => normals(3, rows * stride, 2),
        }))
    }
  }

  compare("rows of zeros and of tiny values", FLOAT_BOUND, (at) =>
    product(at, {
      t: 3, parts: [{ dtype: "Q8_0", n: 17 }], c: 64,
      x: () => Float32Array.from({ length: 192 }, (_, i) => (i < 64 ? 0 : i % 32 === 0 ? 127 * 2 ** -100 : 2 ** -100)),
    }))
})

describe.skipIf(!hasLibraries)("linear, alone and together", () => {
  const library = cpu as KernelLibrary
  const bits = (values: Float32Array): Uint32Array => new Uint32Array(Float32Array.from(values).buffer)

  // What else is in the batch changes nothing.
  for (const [dtype, flags] of WEIGHT_DTYPES.flatMap((each) => [[each, 0], [each, LINEAR_FINE]] as const)) {
    test(`${dtype}, flags ${flags}: a row's result does not depend on the other rows`, () => {
      const [c, n] = [512, 50]
      for (const isa of isas) {
        const at = place(library, { isa, numThreads: 2 })
        const weight = weightOf(at, [{ dtype, n }], c)
        const x = at.put(normals(5, 50 * c))
        const y = at.put(new Float32Array(50 * n))
        const run = (first: number, t: number): Uint32Array => {
          at.run("bz_linear", {
            num_tokens: t, flags, weight: weight.address, x: matrix(x.at + first * c * 4, c), y: matrix(y, n),
          })
          return bits(y.subarray(0, t * n))
        }
        const most = 50
        const together = run(0, most)
        for (const t of [1, 2, 3, 8, 15, 16, 17, 31])
          for (let first = 0; first + t <= most; first += 13)
            expect(run(first, t)).toEqual(together.slice(first * n, (first + t) * n))
        weight.destroy()
        at.close()
      }
    })
  }

  test.each([false, true])("int8 and int4 give the same bits at every level (fine: %p)", (fine) => {
    for (const dtype of WEIGHT_DTYPES.filter((each) => BLOCKS[each].columns > 1)) {
      const results = isas.map((isa) => {
        const at = place(library, { isa, numThreads: 1 })
        const y = bits(product(at, { t: 150, parts: [{ dtype, n: 20 }], c: 768, fine, x: (t, c) => normals(6, t * c) }))
        at.close()
        return y
      })
      for (const y of results) expect(y).toEqual(results[0] as Uint32Array)
    }
  })

  test("what is not a number stays so", () => {
    for (const at of [place(reference as KernelLibrary), ...isas.map((isa) => place(library, { isa }))]) {
      for (const dtype of ["Q8_0", "Q4_1", "F32"] as const) {
        const x = normals(1, 2 * 64)
        x[3] = NaN
        const y = product(at, { t: 2, parts: [{ dtype, n: 16 }], c: 64, x: () => x })
        expect([...y.subarray(0, 16)].every(Number.isNaN)).toBe(true)
        expect([...y.subarray(16)].every(Number.isFinite)).toBe(true)
      }
      at.close()
    }
  })

  test("a recorded product reads its inputs when it is launched", () => {
    for (const [dtype, t] of [["Q4_0", 1], ["BF16", 40]] as const) {
      const at = place(library, { numThreads: 2 })
      const weight = weightOf(at, [{ dtype, n: 48 }], 64)
      const x = at.put(new Float32Array(t * 64))
      const y = at.put(new Float32Array(t * 48))
      const args = { num_tokens: t, weight: weight.address, x: matrix(x, 64), y: matrix(y, 48) }
      const graph = at.capture(() => {
        at.run("bz_linear", args)
        at.run("bz_linear", { ...args, flags: LINEAR_ACCUMULATE })
      })
      x.set(normals(1, x.length))
      at.launch(graph)
      const twice = Float32Array.from(y)
      at.run("bz_linear", args)
      expect(nmse(twice, y.map((value) => 2 * value))).toBeLessThan(1e-12)
      at.stream.destroyGraph(graph)
      weight.destroy()
      at.close()
    }
  })
})
