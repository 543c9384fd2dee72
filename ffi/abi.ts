export const ABI_VERSION = 4

/** Status codes of baozi.h. */
export const STATUS = { ok: 0, invalid: 1, unsupported: 2, noMemory: 3, abi: 4, io: 5, device: 6, numeric: 7 } as const

/** enum bz_dtype. */
export const DTYPE = {
  F32: 0, F16: 1, BF16: 2, I32: 3, I8: 4, U8: 5, U32: 6, U64: 7, F8_E4M3: 8,
  Q4_0: 32, Q4_1: 33, Q5_0: 34, Q5_1: 35, Q8_0: 36,
  Q2_K: 40, Q3_K: 41, Q4_K: 42, Q5_K: 43, Q6_K: 44,
  IQ4_NL: 48, IQ4_XS: 49,
} as const
export type DType = keyof typeof DTYPE

/** Bytes of one element; block formats have none. */
export const ELEMENT_BYTES = { F32: 4, F16: 2, BF16: 2, I32: 4, I8: 1, U8: 1, U32: 4, U64: 8, F8_E4M3: 1 } as const
export type ElementType = keyof typeof ELEMENT_BYTES

/** How the tensors of a weight's part mean a matrix; see bz_weight_create. */
export const SCHEME = { plain: 0, gptq: 1, fp8: 2 } as const
export type Scheme = keyof typeof SCHEME

export const COMPUTE = { auto: 0, float32: 1, bfloat16: 2, float16: 3, int8: 4, int4: 5 } as const
export type Compute = keyof typeof COMPUTE

export const ACT = { silu: 0, gelu: 1, gelu_tanh: 2, relu: 3 } as const
export type Act = keyof typeof ACT

/** How a router's numbers become scores, and how groups of experts are compared; see bz_route. */
export const SCORES = { softmax: 0, sigmoid: 1 } as const
export type Scores = keyof typeof SCORES
export const GROUP_SCORES = { max: 0, top2: 1 } as const
export type GroupScores = keyof typeof GROUP_SCORES

export const MEM_KIND = { device: 0, staging: 1 } as const
export const LINEAR_ACCUMULATE = 1
export const LINEAR_FINE = 2
export const LOGPROBS_MODE = { logSoftmax: 0, logits: 1 } as const
