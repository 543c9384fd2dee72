/** When requests are sent. */
import type { Prng } from "../../base/prng.ts"
import { sum } from "../statistics.ts"

export interface ArrivalOptions {
  /** Requests a second; infinity sends all at once. */
  readonly requestRate: number
  /** Shape of the gamma distribution of the gaps: 1 is a Poisson process, more is steadier, infinity is a fixed gap. */
  readonly burstiness: number
}

/**
 * Seconds from the start, in rising order. Gaps are stretched so that the last request comes at count / rate, as
 * `vllm bench serve` has it: the load asked for is the load offered.
 */
export function arrivalTimes(count: number, { requestRate, burstiness }: ArrivalOptions, prng: Prng): number[] {
  if (requestRate === Infinity) return Array<number>(count).fill(0)
  const gaps = Array.from({ length: count }, () => (burstiness === Infinity ? 1 : gamma(burstiness, prng)))
  const stretch = count / requestRate / sum(gaps)
  let at = 0
  return gaps.map((gap) => (at += gap * stretch))
}

/**
 * Of the gamma distribution, scale 1. Source: Marsaglia and Tsang, "A simple method for generating gamma variables".
 */
export function gamma(shape: number, prng: Prng): number {
  if (shape < 1) return gamma(shape + 1, prng) * (1 - prng.float()) ** (1 / shape)
  const d = shape - 1 / 3
  const c = 1 / Math.sqrt(9 * d)
  for (;;) {
    const x = normal(prng)
    const v = (1 + c * x) ** 3
    if (v > 0 && Math.log(1 - prng.float()) < 0.5 * x * x + d - d * v + d * Math.log(v)) return d * v
  }
}

function normal(prng: Prng): number {
  return Math.sqrt(-2 * Math.log(1 - prng.float())) * Math.cos(2 * Math.PI * prng.float())
}
