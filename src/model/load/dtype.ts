import type { DType } from "../../../ffi/abi.ts"

export type { DType }

/** How a checkpoint stores elements: `elements` consecutive ones share `bytes` bytes. */
export interface DTypeLayout {
  readonly elements: number
  readonly bytes: number
}

// Block layouts are ggml's: a scale (and a minimum) for every 32 elements, or for 256 in the K formats.
const LAYOUTS: Readonly<Record<DType, DTypeLayout>> = {
  F32: { elements: 1, bytes: 4 },
  F16: { elements: 1, bytes: 2 },
  BF16: { elements: 1, bytes: 2 },
  I32: { elements: 1, bytes: 4 },
  I8: { elements: 1, bytes: 1 },
  U8: { elements: 1, bytes: 1 },
  U32: { elements: 1, bytes: 4 },
  U64: { elements: 1, bytes: 8 },
  Q4_0: { elements: 32, bytes: 18 },
  Q4_1: { elements: 32, bytes: 20 },
  Q5_0: { elements: 32, bytes: 22 },
  Q5_1: { elements: 32, bytes: 24 },
  Q8_0: { elements: 32, bytes: 34 },
  Q2_K: { elements: 256, bytes: 84 },
  Q3_K: { elements: 256, bytes: 110 },
  Q4_K: { elements: 256, bytes: 144 },
  Q5_K: { elements: 256, bytes: 176 },
  Q6_K: { elements: 256, bytes: 210 },
  IQ4_NL: { elements: 32, bytes: 18 },
  IQ4_XS: { elements: 256, bytes: 136 },
}

export function dtypeLayout(dtype: DType): DTypeLayout {
  return LAYOUTS[dtype]
}
