import type { DType } from "./dtype.ts"

export interface GgufType {
  readonly name: string
  /** Elements in a block and its bytes: rows are whole blocks. */
  readonly elements: number
  readonly bytes: number
  /** Null for a type that no kernel reads. */
  readonly dtype: DType | null
}

function readable(dtype: DType, elements: number, bytes: number): GgufType {
  return { name: dtype, elements, bytes, dtype }
}

function unreadable(name: string, elements: number, bytes: number): GgufType {
  return { name, elements, bytes, dtype: null }
}

/** Tensor types by their number in the file. The sizes of types we cannot compute with still place their neighbours. */
export const GGUF_TYPES: ReadonlyMap<number, GgufType> = new Map([
  [0, readable("F32", 1, 4)],
  [1, readable("F16", 1, 2)],
  [2, readable("Q4_0", 32, 18)],
  [3, readable("Q4_1", 32, 20)],
  [6, readable("Q5_0", 32, 22)],
  [7, readable("Q5_1", 32, 24)],
  [8, readable("Q8_0", 32, 34)],
  [9, unreadable("Q8_1", 32, 36)],
  [10, readable("Q2_K", 256, 84)],
  [11, readable("Q3_K", 256, 110)],
  [12, readable("Q4_K", 256, 144)],
  [13, readable("Q5_K", 256, 176)],
  [14, readable("Q6_K", 256, 210)],
  [15, unreadable("Q8_K", 256, 292)],
  [16, unreadable("IQ2_XXS", 256, 66)],
  [17, unreadable("IQ2_XS", 256, 74)],
  [18, unreadable("IQ3_XXS", 256, 98)],
  [19, unreadable("IQ1_S", 256, 50)],
  [20, readable("IQ4_NL", 32, 18)],
  [21, unreadable("IQ3_S", 256, 110)],
  [22, unreadable("IQ2_S", 256, 82)],
  [23, readable("IQ4_XS", 256, 136)],
  [24, unreadable("I8", 1, 1)],
  [25, unreadable("I16", 1, 2)],
  [26, unreadable("I32", 1, 4)],
  [27, unreadable("I64", 1, 8)],
  [28, unreadable("F64", 1, 8)],
  [29, unreadable("IQ1_M", 256, 56)],
  [30, readable("BF16", 1, 2)],
  [34, unreadable("TQ1_0", 256, 54)],
  [35, unreadable("TQ2_0", 256, 66)],
  [39, unreadable("MXFP4", 32, 17)],
])
