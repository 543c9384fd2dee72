import { describe, expect, test } from "bun:test"
import { mean, median, percentile, standardDeviation } from "../../../src/bench/statistics.ts"

describe("statistics", () => {
  // numpy.percentile([4, 1, 3, 2], [0, 25, 50, 99, 100])
  test("percentiles lie between neighbours, as numpy's do", () => {
    const values = [4, 1, 3, 2]
    expect([0, 25, 50, 99, 100].map((p) => percentile(values, p))).toEqual([1, 1.75, 2.5, 3.97, 4])
    expect(values).toEqual([4, 1, 3, 2])
    expect(median([5])).toBe(5)
  })

  test("deviation is the population's", () => {
    expect(mean([2, 4, 4, 4, 5, 5, 7, 9])).toBe(5)
    expect(standardDeviation([2, 4, 4, 4, 5, 5, 7, 9])).toBe(2)
  })

  test("nothing has no statistics", () => {
    expect([percentile([], 50), mean([]), standardDeviation([])]).toEqual([NaN, NaN, NaN])
  })
})
