/** How far products may be from those of the reference, and activations that tell one error from another. */
import { Prng } from "../../src/base/prng.ts"

// Sums of up to 1536 products in float32 against float64: roundings of 2^-24, enlarged where a lone result cancels.
export const FLOAT_BOUND = 1e-10
// Activations in int8: an error uniform over 1/127 of the group's largest value (2.1 standard deviations for 32
// normals), whose mean square is (2.1 / 127)^2 / 12 = 2.3e-5 of theirs; twice that, as the largest value varies.
export const INT8_BOUND = 5e-5
// The same with 1927 levels instead of 127; four times that, as a lone row's errors do not average out where weights
// share a mean (formats with a minimum).
export const FINE_BOUND = 4 * INT8_BOUND * (127 / 1927) ** 2
// Activations rounded to bfloat16, where the level multiplies in it: an error uniform over the last of 8 bits, whose mean
// square is (2^-7)^2 / 12 of the value's at the bottom of a power of two, half of that on average.
export const BF16_BOUND = 2 ** -14 / 12

/**
 * Rows that int8 holds exactly: whole numbers with a 127 in each group of 32, times a power of two. A product of them
 * shows every error but the activations' rounding.
 */
export function exactRows(seed: number, t: number, c: number, stride: number): Float32Array {
  const prng = new Prng(seed)
  const out = new Float32Array(t * stride).fill(NaN)
  for (let row = 0; row < t; row++) {
    let unit = 1
    for (let i = 0; i < c; i++) {
      if (i % 32 === 0) unit = 2 ** Math.floor(prng.float() * 6 - 3)
      const level = i % 32 === 0 ? (prng.float() < 0.5 ? -127 : 127) : Math.floor(prng.float() * 255) - 127
      out[row * stride + i] = level * unit
    }
  }
  return out
}
