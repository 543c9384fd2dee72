/** What this machine can do at most, measured: what other figures are held against. */
import type { NativeStream } from "../../ffi/stream.ts"
import type { ProductFormat, StepCost } from "../exec/model-cost.ts"

export interface ReadRate {
  readonly bytes: number
  readonly bytesPerSecond: number
}

/** Multiply-adds a second; null where there is no such instruction or product. */
export interface ProductRate {
  readonly format: ProductFormat
  readonly kernels: number | null
  readonly library: number | null
}

export interface MachineLimits {
  /** From memory: of a buffer far larger than the caches. */
  readonly bytesPerSecond: number
  readonly productsPerSecond: Readonly<Record<ProductFormat, number>>
}

const DTYPES = { int8: "I8", bf16: "BF16", f32: "F32" } as const
const FORMATS = ["int8", "bf16", "f32"] as const
const MEMORY_BYTES = 2 ** 30

/** The best of `rounds`: others on the machine only take away. */
function best(rounds: number, measure: () => number | null): number | null {
  const values = Array.from({ length: rounds }, measure)
  return values[0] === null ? null : Math.max(...(values as number[]))
}

export function measureReads(
  stream: NativeStream, sizes: readonly number[], rounds = 3, milliseconds = 100,
): ReadRate[] {
  return sizes.map((bytes) => ({
    bytes, bytesPerSecond: best(rounds, () => stream.measureRead(bytes, milliseconds))!,
  }))
}

export function measureProducts(stream: NativeStream, rounds = 3, milliseconds = 100): ProductRate[] {
  return FORMATS.map((format) => ({
    format,
    kernels: best(rounds, () => stream.measureProducts(DTYPES[format], false, milliseconds)),
    library: best(rounds, () => stream.measureProducts(DTYPES[format], true, milliseconds)),
  }))
}

/** Powers of two from what a first cache holds, up to `largest`, which is the last. */
export function readSizes(largest: number): number[] {
  const sizes: number[] = []
  for (let bytes = 32 * 1024; bytes < largest; bytes *= 2) sizes.push(bytes)
  return [...sizes, largest]
}

export function summarize(reads: readonly ReadRate[], products: readonly ProductRate[]): MachineLimits {
  const rate = (format: ProductFormat) => {
    const { kernels, library } = products.find((product) => product.format === format)!
    return Math.max(kernels ?? 0, library ?? 0)
  }
  const f32 = rate("f32")
  // Without an instruction of its own, bfloat16 is widened and multiplied as float32.
  const productsPerSecond = { int8: rate("int8"), bf16: rate("bf16") || f32, f32 }
  return { bytesPerSecond: reads.at(-1)!.bytesPerSecond, productsPerSecond }
}

/** In about two seconds, for a figure measured right after it. */
export function measureLimits(stream: NativeStream, availableBytes: number): MachineLimits {
  const reads = measureReads(stream, [largestRead(availableBytes)])
  return summarize(reads, measureProducts(stream))
}

/** A GiB, or a quarter of what is free. */
export function largestRead(availableBytes: number, wanted = MEMORY_BYTES): number {
  return Math.min(wanted, Math.max(2 ** 20, Math.floor(availableBytes / 4)))
}

/** Seconds that a step takes at least: to read its bytes, or to do its products, whichever is more. */
export function leastSeconds(limits: MachineLimits, cost: StepCost): number {
  const products = FORMATS.reduce((sum, format) => sum + cost.products[format] / limits.productsPerSecond[format], 0)
  return Math.max(cost.bytes / limits.bytesPerSecond, products)
}
