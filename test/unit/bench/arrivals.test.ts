import { describe, expect, test } from "bun:test"
import { Prng } from "../../../src/base/prng.ts"
import { arrivalTimes, gamma } from "../../../src/bench/serve/arrivals.ts"
import { mean, standardDeviation } from "../../../src/bench/statistics.ts"

function gaps(times: readonly number[]): number[] {
  return times.map((time, i) => time - (times[i - 1] ?? 0))
}

describe("arrivals", () => {
  test("without a rate all come at once", () => {
    expect(arrivalTimes(3, { requestRate: Infinity, burstiness: 1 }, new Prng(1))).toEqual([0, 0, 0])
  })

  test("the last comes when the rate says, and the seed decides the rest", () => {
    const options = { requestRate: 4, burstiness: 1 }
    const times = arrivalTimes(1000, options, new Prng(1))
    expect(times.at(-1)).toBeCloseTo(250, 9)
    expect(gaps(times).every((gap) => gap > 0)).toBe(true)
    expect(arrivalTimes(1000, options, new Prng(1))).toEqual(times)
    expect(arrivalTimes(1000, options, new Prng(2))).not.toEqual(times)
  })

  // A gamma distribution of shape k has a deviation of mean / sqrt(k).
  test.each([0.5, 1, 4])("burstiness %p spreads the gaps as its gamma distribution does", (burstiness) => {
    const drawn = gaps(arrivalTimes(20_000, { requestRate: 10, burstiness }, new Prng(3)))
    expect(mean(drawn)).toBeCloseTo(0.1, 9)
    const spread = standardDeviation(drawn) / mean(drawn)
    expect(spread * Math.sqrt(burstiness)).toBeGreaterThan(0.97)
    expect(spread * Math.sqrt(burstiness)).toBeLessThan(1.03)
  })

  test("an infinite burstiness is a fixed gap", () => {
    const times = arrivalTimes(4, { requestRate: 2, burstiness: Infinity }, new Prng(1))
    expect(times).toEqual([0.5, 1, 1.5, 2])
  })

  test.each([0.3, 1, 7.5])("gamma of shape %p has that mean and that variance", (shape) => {
    const prng = new Prng(5)
    const values = Array.from({ length: 30_000 }, () => gamma(shape, prng))
    expect(Math.abs(mean(values) / shape - 1)).toBeLessThan(0.03)
    expect(Math.abs(standardDeviation(values) ** 2 / shape - 1)).toBeLessThan(0.06)
  })
})
