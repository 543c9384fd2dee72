import { describe, expect, test } from "bun:test"
import { describeFidelity, divergenceOf, measureFidelity, summarizeFidelity } from "../../../src/bench/fidelity.ts"

/** Logits of a distribution; a constant on top of them changes nothing. */
const logits = (probabilities: readonly number[], offset = 0) =>
  Float32Array.from(probabilities, (p) => Math.log(p) + offset)

describe("two rows of logits", () => {
  const [p, q] = [[1 / 2, 1 / 4, 1 / 4], [1 / 4, 1 / 2, 1 / 4]]

  test("diverge as their distributions do", () => {
    const found = divergenceOf(logits(p), logits(q, 30), 0)
    expect(found.kl).toBeCloseTo(Math.log(2) / 2 - Math.log(2) / 4, 5)
    expect(Math.exp(found.referenceLogprob)).toBeCloseTo(1 / 2, 6)
    expect(Math.exp(found.logprob)).toBeCloseTo(1 / 4, 5)
    expect(found.isSameTop).toBe(false)
    expect(divergenceOf(logits(p), logits(p, 8), 2).isSameTop).toBe(true)
  })

  test("do not diverge at all where they are the same", () => {
    const row = Float32Array.from({ length: 1000 }, (_, i) => Math.sin(i) * 20)
    expect(divergenceOf(row, row.slice(), 7)).toMatchObject({ kl: 0, isSameTop: true })
  })

  test("diverge without bound where the second rules out what the first allows, and not the other way round", () => {
    const [certain, even] = [logits([1, 0]), logits([1 / 2, 1 / 2])]
    expect(divergenceOf(even, certain, 0).kl).toBe(Infinity)
    expect(divergenceOf(certain, even, 0).kl).toBeCloseTo(Math.log(2), 6)
  })

  test("must have as many tokens, and numbers", () => {
    expect(() => divergenceOf(logits(p), logits([1 / 2, 1 / 2]), 0)).toThrow("logits of 3 and of 2 tokens")
    expect(() => divergenceOf(logits(p), Float32Array.of(0, NaN, 0), 0)).toThrow("no numbers")
  })
})

describe("a summary", () => {
  const at = (before: number, after: number, kl: number, isSameTop: boolean) =>
    ({ referenceLogprob: Math.log(before), logprob: Math.log(after), kl, isSameTop })

  test("has the figures of all positions", () => {
    const figures = summarizeFidelity([at(0.5, 0.25, 0.3, false), at(0.25, 0.5, 0.1, true), at(0.25, 0.25, 0, true)])
    expect(figures.tokens).toBe(3)
    expect(figures.rmsDeltaP).toBeCloseTo(Math.sqrt((25 ** 2 + 25 ** 2) / 3), 9)
    expect(figures.meanDeltaP).toBeCloseTo(0, 9)
    expect(figures.maxDeltaP).toBeCloseTo(25, 9)
    expect(figures.meanKl).toBeCloseTo(0.4 / 3, 9)
    expect(figures.meanKlError).toBeCloseTo(Math.sqrt((0.1 / 3 - (0.4 / 3) ** 2) / 3), 9)
    expect([figures.medianKl, figures.maxKl]).toEqual([0.1, 0.3])
    expect(figures.p999Kl).toBeCloseTo(0.1 + 0.2 * 0.998, 9)
    expect(figures.sameTop).toBeCloseTo(2 / 3, 9)
    // Both have the same probabilities, in another order.
    expect(figures.perplexity).toBeCloseTo(32 ** (1 / 3), 9)
    expect(figures.referencePerplexity).toBeCloseTo(32 ** (1 / 3), 9)
    expect(figures.perplexityRatio).toBeCloseTo(1, 9)
    expect(figures.perplexityRatioError).toBeCloseTo(Math.log(2) * Math.sqrt(2 / 3) / Math.sqrt(3), 9)
  })

  test("tells which way the perplexity went", () => {
    const figures = summarizeFidelity([at(0.5, 0.25, 0.1, true), at(0.5, 0.25, 0.1, true)])
    expect(figures.perplexityRatio).toBeCloseTo(2, 9)
    expect(figures.perplexityRatioError).toBeCloseTo(0, 9)
    expect(figures.meanDeltaP).toBeCloseTo(-25, 9)
    expect(describeFidelity(figures)).toMatch(/ratio +2\.00000 \+- 0\.00000/)
  })
})

describe("over a text", () => {
  const vocabSize = 4
  const options = { contextLen: 4, stride: 2, vocabSize }

  /** Gives the next token, which is its place in the text, the probability `ofPlace` says; pieces of `rows` rows. */
  function model(rows: number, ofPlace: (token: number, placeInWindow: number) => number) {
    return function* (window: readonly number[]) {
      const values = window.slice(1).flatMap((token, i) => {
        const p = ofPlace(token, i + 1)
        return [...logits(Array.from({ length: vocabSize }, (_, id) => (id === token ? p : (1 - p) / (vocabSize - 1))))]
      })
      // One buffer, as an engine has: a piece is gone when the next one comes.
      const piece = new Float32Array(rows * vocabSize)
      for (let at = 0; at < values.length; at += piece.length) {
        const part = values.slice(at, at + piece.length)
        piece.set(part)
        yield piece.subarray(0, part.length)
      }
    }
  }

  test("is measured in the windows that score each token, whatever the pieces", () => {
    // Tokens 1 to 3 are scored at places 1 to 3 of the first window, the last two at places 2 and 3 of the second.
    const text = [0, 1, 2, 3, 1, 2]
    const p = 0.5
    const tested = (_token: number, place: number) => [0, 0.5, 0.6, 0.7][place]!
    for (const [a, b] of [[1, 2], [2, 1], [3, 3]] as const) {
      const figures = measureFidelity(text, options, model(a, () => p), model(b, tested))
      expect(figures.tokens).toBe(5)
      expect(figures.meanDeltaP).toBeCloseTo((0 + 10 + 20 + 10 + 20) / 5, 4)
      expect(figures.rmsDeltaP).toBeCloseTo(Math.sqrt((0 + 100 + 400 + 100 + 400) / 5), 4)
      expect(figures.referencePerplexity).toBeCloseTo(2, 5)
      expect(figures.perplexity).toBeCloseTo((0.5 * 0.6 * 0.7 * 0.6 * 0.7) ** (-1 / 5), 5)
      expect(figures.sameTop).toBe(1)
    }
  })

  test("counts the positions at which another token is on top", () => {
    const tested = model(3, (token) => (token === 2 ? 0.1 : 0.5))
    const figures = measureFidelity([0, 1, 2, 3], options, model(3, () => 0.5), tested)
    expect(figures.sameTop).toBeCloseTo(2 / 3, 9)
    expect(figures.maxKl).toBeCloseTo(0.5 * Math.log(0.5 / 0.1) + 0.5 * Math.log(0.5 / 0.9), 5)
  })

  test("needs two tokens, and logits for all of them", () => {
    const whole = model(2, () => 0.5)
    expect(() => measureFidelity([1], options, whole, whole)).toThrow("a text of 1 tokens")
    const short = (window: readonly number[]) => [...whole(window)].slice(0, 1)
    expect(() => measureFidelity([0, 1, 2, 3], options, whole, short)).toThrow("no logits for token 3")
  })
})
