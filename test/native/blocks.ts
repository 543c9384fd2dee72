import { Prng } from "../../src/base/prng.ts"
import type { DType } from "../../ffi/abi.ts"

/** Columns and bytes of a block, and where its float16 scales and minimums lie. Floats are blocks of one column. */
interface BlockLayout {
  readonly columns: number
  readonly bytes: number
  readonly scales: readonly number[]
  readonly mins: readonly number[]
}

export const BLOCKS = {
  F32: { columns: 1, bytes: 4, scales: [], mins: [] },
  F16: { columns: 1, bytes: 2, scales: [], mins: [] },
  BF16: { columns: 1, bytes: 2, scales: [], mins: [] },
  Q4_0: { columns: 32, bytes: 18, scales: [0], mins: [] },
  Q4_1: { columns: 32, bytes: 20, scales: [0], mins: [2] },
  Q5_0: { columns: 32, bytes: 22, scales: [0], mins: [] },
  Q5_1: { columns: 32, bytes: 24, scales: [0], mins: [2] },
  Q8_0: { columns: 32, bytes: 34, scales: [0], mins: [] },
  Q2_K: { columns: 256, bytes: 84, scales: [80, 82], mins: [] },
  Q3_K: { columns: 256, bytes: 110, scales: [108], mins: [] },
  Q4_K: { columns: 256, bytes: 144, scales: [0, 2], mins: [] },
  Q5_K: { columns: 256, bytes: 176, scales: [0, 2], mins: [] },
  Q6_K: { columns: 256, bytes: 210, scales: [208], mins: [] },
  IQ4_NL: { columns: 32, bytes: 18, scales: [0], mins: [] },
  IQ4_XS: { columns: 256, bytes: 136, scales: [0], mins: [] },
} as const satisfies Partial<Record<DType, BlockLayout>>

export type WeightDType = keyof typeof BLOCKS
export const WEIGHT_DTYPES = Object.keys(BLOCKS) as WeightDType[]

/** Rows whose codes are random and whose scales are sane: a positive scale near 1/200, a minimum of about -8 scales. */
export function randomRows(dtype: WeightDType, n: number, c: number, seed: number): Uint8Array<ArrayBuffer> {
  const layout: BlockLayout = BLOCKS[dtype]
  const prng = new Prng(seed)
  const out = new Uint8Array((n * c * layout.bytes) / layout.columns)
  const view = new DataView(out.buffer)
  if (layout.columns === 1) {
    for (let i = 0; i < n * c; i++) writeFloat(view, dtype, i, prng.float() - 0.5)
    return out
  }
  for (let i = 0; i < out.length; i++) out[i] = Math.floor(prng.float() * 256)
  for (let block = 0; block < out.length; block += layout.bytes) {
    const half = 0x1c00 + Math.floor(prng.float() * 0x400) // float16 from 2^-8 to 2^-7
    for (const at of layout.scales) view.setUint16(block + at, half, true)
    for (const at of layout.mins) view.setUint16(block + at, (half + (3 << 10)) | 0x8000, true)
  }
  return out
}

const word = new DataView(new ArrayBuffer(4))

function writeFloat(view: DataView, dtype: WeightDType, i: number, value: number): void {
  if (dtype === "F32") return view.setFloat32(4 * i, value, true)
  if (dtype === "F16") return view.setFloat16(2 * i, value, true)
  word.setFloat32(0, value)
  view.setUint16(2 * i, word.getUint16(0), true) // cut to bfloat16
}
