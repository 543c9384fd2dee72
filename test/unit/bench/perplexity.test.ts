import { describe, expect, test } from "bun:test"
import { perplexityOf, slidingWindows } from "../../../src/bench/perplexity.ts"

describe("windows", () => {
  test("score every token but the first once, each with as much before it as its window has", () => {
    expect(slidingWindows(10, 4, 2)).toEqual([
      { start: 0, end: 4, firstScored: 1 }, { start: 2, end: 6, firstScored: 4 }, { start: 4, end: 8, firstScored: 6 },
      { start: 6, end: 10, firstScored: 8 },
    ])
    expect(slidingWindows(9, 4, 3).map(({ end, firstScored }) => [firstScored, end])).toEqual([[1, 4], [4, 7], [7, 9]])
    expect(slidingWindows(3, 100, 50)).toEqual([{ start: 0, end: 3, firstScored: 1 }])
  })
})

describe("perplexity", () => {
  test("of a model that gives each of k tokens 1 / k is k", () => {
    const score = (ids: readonly number[]) => ids.slice(1).map(() => -Math.log(7))
    const figures = perplexityOf(Array(50).fill(1), { contextLen: 8, stride: 4 }, score)
    expect(figures.tokens).toBe(49)
    expect(figures.perplexity).toBeCloseTo(7, 9)
    expect(figures.nllError).toBeCloseTo(0, 9)
  })

  test("takes a token's score from the window that scores it", () => {
    // The score is the token's place in its window: -1, -2, -3 in the first, then the last two of each.
    const score = (ids: readonly number[]) => ids.slice(1).map((_, i) => -(i + 1))
    const { nll, tokens } = perplexityOf([5, 5, 5, 5, 5, 5], { contextLen: 4, stride: 2 }, score)
    expect([tokens, nll]).toEqual([5, (1 + 2 + 3 + 2 + 3) / 5])
  })

  test("needs two tokens", () => {
    expect(() => perplexityOf([1], { contextLen: 4, stride: 2 }, () => [])).toThrow("a text of 1 tokens")
  })
})
