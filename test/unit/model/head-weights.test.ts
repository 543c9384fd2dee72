import { ptr } from "bun:ffi"
import { expect, test } from "bun:test"
import type { CheckpointTensor } from "../../../src/model/load/checkpoint.ts"
import type { DType } from "../../../src/model/load/dtype.ts"
import { HeadWeight } from "../../../src/model/head-weights.ts"
import type { StoredPart } from "../../../src/model/stored-scheme.ts"
import type { Device } from "../../../src/tensor/device.ts"

// Views of the tensors' bytes, so that they outlive the tensors.
const kept: ArrayBufferView[] = []

function tensor(data: Float32Array | Uint16Array | Uint8Array, shape: number[], dtype: DType): CheckpointTensor {
  kept.push(data)
  return { name: "kv_b.weight", dtype, shape, address: ptr(data), bytes: data.byteLength, release: () => {} }
}

function plain(values: CheckpointTensor): StoredPart {
  return {
    n: values.shape[0]!, scheme: "plain", groupRows: 0, groupCols: 0, values, scales: null, zeros: null,
    groupIndex: null,
  }
}

/** What goes to the device. */
function loaded(weight: HeadWeight): { dtype: string; values: number[] } {
  let out = { dtype: "", values: [] as number[] }
  const constantOf = (dtype: string, length: number, fill: () => Float32Array | Uint16Array) => {
    out = { dtype, values: [...fill()] }
    expect(out.values.length).toBe(length)
    return { address: 1, dtype, length }
  }
  weight.load({ constantOf } as unknown as Device)
  return out
}

// Two heads of 2 key rows and 1 value row, 3 columns: 11 is the second row's first value.
const ROWS = [[0, 1, 2], [10, 11, 12], [20, 21, 22], [30, 31, 32], [40, 41, 42], [50, 51, 52]]
const KEYS = { numHeads: 2, headRows: 3, first: 0, count: 2 }
const VALUES = { numHeads: 2, headRows: 3, first: 2, count: 1 }

test("keys are products with columns, values with rows", () => {
  const part = plain(tensor(Float32Array.from(ROWS.flat()), [6, 3], "F32"))
  const keys = new HeadWeight(part, KEYS, false)
  expect([keys.n, keys.c, keys.bytes]).toEqual([3, 2, 48])
  expect(loaded(keys)).toEqual({ dtype: "F32", values: [0, 1, 2, 10, 11, 12, 30, 31, 32, 40, 41, 42] })
  const both = new HeadWeight(part, { ...KEYS }, true)
  expect([both.n, both.c]).toEqual([2, 3])
  expect(loaded(both).values).toEqual([0, 10, 1, 11, 2, 12, 30, 40, 31, 41, 32, 42])
  expect(loaded(new HeadWeight(part, VALUES, true)).values).toEqual([20, 21, 22, 50, 51, 52])
})

test("bfloat16 stays, float16 becomes float32", () => {
  const bits = Uint16Array.from(ROWS.flat())
  const bf16 = new HeadWeight(plain(tensor(bits, [6, 3], "BF16")), VALUES, true)
  expect(bf16.bytes).toBe(12)
  expect(loaded(bf16)).toEqual({ dtype: "BF16", values: [20, 21, 22, 50, 51, 52] })
  const halves = new Uint16Array(Float16Array.from(ROWS.flat()).buffer)
  expect(loaded(new HeadWeight(plain(tensor(halves, [6, 3], "F16")), VALUES, true)))
    .toEqual({ dtype: "F32", values: [20, 21, 22, 50, 51, 52] })
})

test("FP8 is scaled in blocks", () => {
  // 1, 2, 0.5, -1, 448, 2^-9
  const codes = Uint8Array.of(0x38, 0x40, 0x30, 0xb8, 0x7e, 0x01, ...Array<number>(12).fill(0x38))
  const values = tensor(codes, [6, 3], "F8_E4M3")
  const scales = tensor(Float32Array.of(1, 10, 100, 1000, 2, 20), [3, 2], "F32")
  const part: StoredPart = { ...plain(values), scheme: "fp8", groupRows: 2, groupCols: 2, scales }
  const keys = loaded(new HeadWeight(part, KEYS, false))
  expect(keys).toEqual({
    dtype: "F32", values: [1, 2, 5, -1, 448, 10 * 2 ** -9, 100, 100, 1000, 2, 2, 20],
  })
})

test("other formats are refused by name", () => {
  expect(() => new HeadWeight({ ...plain(tensor(new Uint8Array(72), [6, 3], "I32")), scheme: "gptq" }, KEYS, false))
    .toThrow("kv_b.weight is quantized (gptq); this weight must be stored as F32, F16, BF16 or FP8")
  expect(() => new HeadWeight(plain(tensor(new Uint8Array(72), [6, 3], "Q8_0")), KEYS, false))
    .toThrow("kv_b.weight is quantized (Q8_0)")
})
