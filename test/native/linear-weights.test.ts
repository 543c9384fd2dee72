import { describe, expect, test } from "bun:test"
import type { Compute, DType } from "../../ffi/abi.ts"
import type { KernelLibrary } from "../../ffi/library.ts"
import type { NativeWeight, WeightPart } from "../../ffi/weight.ts"
import { BLOCKS, randomRows, WEIGHT_DTYPES, type WeightDType } from "./blocks.ts"
import {
  compare, cpu, hasLibraries, isas, libraries, matrix, place, plainPart, refusals, type Place,
} from "./harness.ts"
import { argsOf } from "./place.ts"

// Values of the block whose byte i is 37 i + 11 mod 256, scales 1/64 and minimum -1/8, as gguf-py 0.19 dequantizes it:
// column -> value * 64.
const PINNED: Partial<Record<WeightDType, Record<number, number>>> = {
  Q4_0: { 0: -3, 1: 2, 15: -8, 16: -3, 17: -1, 31: 0 },
  Q4_1: { 0: 7, 1: -4, 15: 2, 16: 1, 17: 4, 31: 4 },
  Q5_0: { 0: 9, 1: -2, 15: -12, 16: 14, 17: 0, 31: 1 },
  Q5_1: { 0: 11, 1: 16, 15: 22, 16: 11, 17: -3, 31: -3 },
  Q8_0: { 0: 85, 1: 122, 15: -128, 16: -91, 17: -54, 31: -48 },
  Q2_K: { 0: 33, 15: 22, 16: -3, 33: -5, 64: 6, 100: 13, 127: 42, 128: 6, 190: -10, 255: 3 },
  Q3_K: { 0: 81, 15: -54, 16: -96, 33: 44, 64: 34, 100: 0, 127: 72, 128: 2, 190: 0, 255: 42 },
  Q4_K: { 0: 290, 15: 135, 16: 290, 33: 8, 64: 390, 100: 78, 127: 64, 128: 417, 190: 870, 255: 31 },
  Q5_K: { 0: 786, 15: 135, 16: 786, 33: -16, 64: 390, 100: 218, 127: -20, 128: 1041, 190: 1470, 255: 91 },
  Q6_K: { 0: -1431, 15: -318, 16: -432, 33: -672, 64: -3040, 100: 2523, 127: 1500, 128: -351, 190: -3038, 255: -60 },
  IQ4_NL: { 0: -35, 1: 25, 15: -127, 16: -35, 17: -10, 31: 1 },
  IQ4_XS: { 0: 65, 15: -89, 16: 65, 33: -7, 64: 780, 100: 40, 127: 196, 128: -585, 190: 742, 255: -16 },
}

function pinnedBlock(dtype: WeightDType): Uint8Array {
  const { bytes, scales, mins } = BLOCKS[dtype]
  const block = Uint8Array.from({ length: bytes }, (_, i) => (37 * i + 11) % 256)
  const view = new DataView(block.buffer)
  for (const at of scales) view.setFloat16(at, 1 / 64, true)
  for (const at of mins) view.setFloat16(at, -1 / 8, true)
  return block
}

function weightOf(at: Place, rows: Uint8Array, dtype: WeightDType, n: number, c: number): NativeWeight {
  return at.stream.createWeight({ n, c, numExperts: 0, compute: "auto" }, [at.part(rows, n, dtype)])
}

function withoutData(part: WeightPart): WeightPart {
  return { ...part, values: { ...part.values, address: 0 } }
}

describe("weights", () => {
  for (const [name, values] of Object.entries(PINNED)) {
    const dtype = name as WeightDType
    test.skipIf(!hasLibraries)(`${dtype} means what GGUF says`, () => {
      const c = BLOCKS[dtype].columns
      for (const at of libraries.map((library) => place(library))) {
        const weight = weightOf(at, pinnedBlock(dtype), dtype, 1, c)
        const y = at.put(new Float32Array(c))
        const ids = at.put(Int32Array.of(0))
        at.run("bz_embedding", {
          num_tokens: 1, weight: weight.address, ids: ids.at, y: matrix(y, c), scale: 64,
        })
        for (const [column, value] of Object.entries(values))
          expect([at.name, y[Number(column)]! + 0]).toEqual([at.name, value])
        weight.destroy()
        at.close()
      }
    })
  }

  for (const dtype of WEIGHT_DTYPES) {
    // The same codes and scales: a rounding of the product and one of the sum, wherever a fused one may stand for both.
    compare(`embedding ${dtype}`, 1e-13, (at) => {
      const [n, c, t] = [37, BLOCKS[dtype].columns === 1 ? 33 : 512, 21]
      const weight = weightOf(at, randomRows(dtype, n, c, 3), dtype, n, c)
      const ids = at.put(Int32Array.from({ length: t }, (_, i) => (i * 7) % n))
      const y = at.put(new Float32Array(t * (c + 2)))
      at.run("bz_embedding", {
        num_tokens: t, weight: weight.address, ids: ids.at, y: matrix(y, c, c + 2), scale: 1.5,
      })
      weight.destroy()
      return y
    })
  }

  test.skipIf(!hasLibraries)("the plan is what a weight holds", () => {
    const at = place(cpu as KernelLibrary, { numThreads: 2 })
    const held = (parts: [WeightDType, number][], c: number, compute: Compute): { bytes: number; bits: number } => {
      const n = parts.reduce((sum, [, rows]) => sum + rows, 0)
      const inputs = parts.map(([dtype, rows]) => at.part(randomRows(dtype, rows, c, 1), rows, dtype))
      const shape = { n, c, numExperts: 0, compute }
      const planned = at.stream.planWeight(shape, inputs.map(withoutData))
      const before = at.stream.memory().weights
      const weight = at.stream.createWeight(shape, inputs)
      const info = weight.info()
      expect(planned.info()).toEqual(info)
      expect(at.stream.memory().weights - before).toBe(info.bytes)
      const ofStack = [...inputs, ...inputs, ...inputs].map(withoutData)
      const stack = at.stream.planWeight({ ...shape, numExperts: 3 }, ofStack)
      expect(stack.info()).toEqual({ ...info, bytes: 3 * info.bytes })
      for (const each of [weight, planned, stack]) each.destroy()
      expect(at.stream.memory().weights).toBe(before)
      return info
    }
    // 4 bits and two float16 for 32 values: 5 bits a value, up to the last block of 16 rows and a line of 64 bytes.
    expect(held([["Q4_1", 576]], 576, "auto")).toEqual({ bytes: (576 * 576 * 5) / 8 + 64, bits: 4 })
    expect(held([["Q8_0", 15], ["Q8_0", 1]], 64, "auto")).toEqual({ bytes: 16 * 64 + 16 * 2 * 2 + 64, bits: 8 })
    expect(held([["F32", 16]], 16, "auto").bits).toBe(32)
    expect(held([["F32", 16]], 16, "bfloat16")).toEqual({ bytes: 16 * 32 * 2 + 64, bits: 16 })
    expect(held([["Q4_K", 3], ["Q6_K", 20]], 256, "auto").bits).toBe(8)
    expect(held([["IQ4_XS", 3]], 256, "float32").bits).toBe(32)
    at.close()
  })
})

describe.skipIf(!hasLibraries)("what linear, embedding and weights refuse", () => {
  const part = ({ n = 1, ...values }: { n?: number; address?: number; bytes?: number; dtype?: DType }): WeightPart =>
    plainPart({ address: 4096, bytes: 4 * 64, dtype: "F32", ...values }, n)
  const creations: [RegExp, number, { n: number; c: number; numExperts?: number }, WeightPart[]][] = [
    [/num_parts is 0/, 1, { n: 1, c: 64 }, []],
    [/num_parts is 17/, 1, { n: 17, c: 64 }, Array.from({ length: 17 }, () => part({}))],
    [/part 0 has no rows/, 1, { n: 0, c: 64 }, [part({ n: 0, bytes: 0 })]],
    [/n is 2, the parts have 1 rows/, 1, { n: 2, c: 64 }, [part({})]],
    [/values have 255 bytes, \[1, 64\] of f32 needs 256/, 1, { n: 1, c: 64 }, [part({ bytes: 255 })]],
    [/c is 0/, 1, { n: 1, c: 0 }, [part({ bytes: 0 })]],
    [/c is 48, Q4_0 needs a multiple of 32/, 1, { n: 1, c: 48 }, [part({ dtype: "Q4_0", bytes: 27 })]],
    [/c is 128, Q6_K needs a multiple of 256/, 1, { n: 1, c: 128 }, [part({ dtype: "Q6_K", bytes: 105 })]],
    [/no weight has dtype 3/, 2, { n: 1, c: 64 }, [part({ dtype: "I32" })]],
    [/values.data is NULL/, 1, { n: 1, c: 64 }, [part({ address: 0 })]],
    [/limit is 268435456/, 1, { n: 0xffffffff, c: 64 }, [part({ n: 0xffffffff, bytes: 0xffffffff * 256 })]],
    [/scheme 0 has values alone/, 1, { n: 1, c: 64 }, [
      { ...part({}), scales: { address: 4096, bytes: 4, dtype: "F32" } },
    ]],
    [/num_experts is 65537, the limit is 65536/, 1, { n: 1, c: 64, numExperts: 65_537 },
      Array.from({ length: 65_537 }, () => part({}))],
    [/part 1: values have 512 bytes/, 1, { n: 1, c: 64, numExperts: 2 }, [part({}), part({ bytes: 512 })]],
    [/part 1: of expert 1, differs in its form from part 0/, 1, { n: 1, c: 64, numExperts: 2 }, [
      part({}), part({ dtype: "BF16", bytes: 128 }),
    ]],
    [/part 3: of expert 1, differs in its form from part 1/, 1, { n: 3, c: 64, numExperts: 2 }, [
      part({}), part({ n: 2, bytes: 512 }), part({}), part({}),
    ]],
  ]
  for (const [words, status, shape, parts] of creations)
    test(`weight_create: ${words.source}`, () => {
      for (const refusal of refusals(
        (at) => void at.stream.createWeight({ numExperts: 0, ...shape, compute: "auto" }, parts),
      )) {
        expect(refusal.status).toBe(status)
        expect(refusal.words).toMatch(words)
      }
    })

  const calls: [op: "bz_linear" | "bz_embedding", RegExp, object][] = [
    ["bz_linear", /weight is NULL/, { weight: 0 }],
    ["bz_linear", /x.data is NULL/, { x: matrix(0, 64) }],
    ["bz_linear", /y.data is NULL/, { y: matrix(0, 16) }],
    ["bz_linear", /x.cols is 63, must be 64/, { x: matrix(64, 63) }],
    ["bz_linear", /y.cols is 64, must be 16/, { y: matrix(64, 64) }],
    ["bz_linear", /x.stride is 63, rows have 64/, { x: matrix(64, 64, 63) }],
    ["bz_linear", /y.stride is 15, rows have 16/, { y: matrix(64, 16, 15) }],
    ["bz_linear", /x.dtype is i8, which this library does not compute in/, { x: { ...matrix(64, 64), dtype: "I8" } }],
    ["bz_linear", /unknown flags 0x4/, { flags: 4 }],
    ["bz_embedding", /weight is NULL/, { weight: 0 }],
    ["bz_embedding", /ids is NULL/, { ids: 0 }],
    ["bz_embedding", /y.data is NULL/, { y: matrix(0, 64) }],
    ["bz_embedding", /y.stride is 15, rows have 64/, { y: matrix(64, 64, 15) }],
    ["bz_embedding", /ids\[1\] is 16, must be in \[0, 16\)/, { second: 16 }],
    ["bz_embedding", /ids\[1\] is -1, must be in \[0, 16\)/, { second: -1 }],
  ]
  for (const [op, words, over] of calls)
    test(`${op}: ${words.source} ${JSON.stringify(over)}`, () => {
      const { second = 0, ...fields } = over as { second?: number }
      const results = refusals((at) => {
        const weight = weightOf(at, randomRows("F32", 16, 64, 1), "F32", 16, 64)
        try {
          const [x, y] = [at.put(new Float32Array(128)), at.put(new Float32Array(128))]
          const shared = { num_tokens: 2, weight: weight.address }
          if (op === "bz_linear") at.run(op, { ...shared, x: matrix(x, 64), y: matrix(y, 16), ...fields })
          else {
            const ids = at.put(Int32Array.of(0, second)).at
            at.run(op, { ...shared, ids, scale: 1, y: matrix(y, 64), ...fields })
          }
        } finally {
          weight.destroy()
        }
      })
      for (const refusal of results) {
        expect(refusal.status).toBe(1)
        expect(refusal.words).toMatch(words)
      }
    })

  test("a planned weight and a stack are no matrices", () => {
    for (const library of libraries) {
      const at = place(library)
      const parts = (numExperts: number) => Array.from({ length: Math.max(1, numExperts) }, () => part({ address: 0 }))
      const [x, y] = [at.put(new Float32Array(64)), at.put(new Float32Array(64))]
      for (const numExperts of [0, 2]) {
        const weight = at.stream.planWeight({ n: 1, c: 64, numExperts, compute: "auto" }, parts(numExperts))
        const args = { num_tokens: 1, weight: weight.address, x: matrix(x, 64), y: matrix(y, 1) }
        expect(() => at.run("bz_linear", args)).toThrow("the weight was only planned")
        at.stream.planBegin()
        const plan = (): void => at.stream.run("bz_linear", argsOf("bz_linear", args))
        if (numExperts === 0) plan()
        else expect(plan).toThrow("the weight is a stack of 2")
        at.stream.planEnd()
        weight.destroy()
      }
      at.close()
    }
  })

  test("no tokens are no work", () => {
    for (const isa of isas) {
      const at = place(cpu as KernelLibrary, { isa })
      const weight = weightOf(at, randomRows("Q8_0", 16, 64, 1), "Q8_0", 16, 64)
      at.run("bz_linear", { num_tokens: 0, weight: weight.address })
      at.run("bz_embedding", { num_tokens: 0, weight: weight.address })
      weight.destroy()
      at.close()
    }
  })
})
