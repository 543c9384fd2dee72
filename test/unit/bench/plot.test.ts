import { describe, expect, test } from "bun:test"
import { plotSvg } from "../../../src/bench/plot.ts"
import { growth, sizes } from "../../../src/bench/scale.ts"

describe("scale", () => {
  test("sizes grow to the last, which is in", () => {
    expect(sizes(1, 256, 2)).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256])
    expect(sizes(128, 300, 2)).toEqual([128, 256, 300])
    expect(sizes(1, 1, 10)).toEqual([1])
  })

  test("growth is the slope on logarithmic axes, over the upper half", () => {
    const points = (power: number) => [1, 10, 100, 1000].map((size) => ({ size, stepMs: 3 * size ** power }))
    expect(growth(points(1))).toBeCloseTo(1, 9)
    expect(growth(points(0))).toBeCloseTo(0, 9)
    expect(growth([{ size: 1, stepMs: 5 }, ...points(2).slice(1)])).toBeCloseTo(2, 9)
    expect(growth(points(1).slice(0, 1))).toBeNaN()
  })
})

describe("a plot", () => {
  const svg = plotSvg({
    title: "a < b", xLabel: "x", yLabel: "ms", series: [{ name: "one", points: [[1, 0.5], [100, 50]] }],
  })

  test("is well-formed, escapes its words and labels whole powers of ten", async () => {
    const opened = svg.match(/<(svg|text)\b/g)!.length
    expect(svg.match(/<\/(svg|text)>/g)!.length).toBe(opened)
    expect(svg).toContain("a &lt; b")
    for (const tick of [">1<", ">10<", ">100<", ">0.1<"]) expect(svg).toContain(tick)
  })

  test("puts a slope of one on the diagonal of its axes", () => {
    // x from 10^0 to 10^2 over 70..620; y from 10^-1 to 10^2 over 350..40.
    expect(svg).toContain('points="70.0,277.8 620.0,71.1"')
  })

  test("of a single point has axes too", () => {
    const one = plotSvg({ title: "", xLabel: "", yLabel: "", series: [{ name: "", points: [[1, 1]] }] })
    expect(one).not.toContain("NaN")
  })
})
