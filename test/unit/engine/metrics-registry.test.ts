import { describe, expect, test } from "bun:test"
import { formatNumber, MetricsRegistry, oneTwoFiveBounds } from "../../../src/engine/metrics-registry.ts"

describe("text format", () => {
  test("counters end in _total, gauges do not, each family is described once", () => {
    const registry = new MetricsRegistry()
    const requests = registry.counter({ name: "requests", help: "Requests.", labelNames: ["code"] })
    requests.labels("200").inc()
    requests.labels("500").inc(2)
    requests.labels("200").inc(0.5)
    registry.gauge({ name: "depth", help: "Depth." }).labels().set(-3)
    expect(registry.render()).toBe(`# HELP requests_total Requests.
# TYPE requests_total counter
requests_total{code="200"} 1.5
requests_total{code="500"} 2.0
# HELP depth Depth.
# TYPE depth gauge
depth -3.0
`)
  })

  test("histogram buckets are cumulative, their bounds inclusive", () => {
    const registry = new MetricsRegistry()
    const sizes = registry
      .histogram({ name: "size", help: "Size.", labelNames: ["a"], bounds: [0.5, 1, 10] })
      .labels("x")
    for (const value of [0, 0.5, 0.6, 1, 10, 10.1]) sizes.observe(value)
    expect(sizes.count).toBe(6)
    expect(registry.render()).toBe(`# HELP size Size.
# TYPE size histogram
size_bucket{a="x",le="0.5"} 2.0
size_bucket{a="x",le="1.0"} 4.0
size_bucket{a="x",le="10.0"} 5.0
size_bucket{a="x",le="+Inf"} 6.0
size_count{a="x"} 6.0
size_sum{a="x"} 22.2
`)
  })

  test("labels and help are escaped", () => {
    const registry = new MetricsRegistry()
    registry.gauge({ name: "g", help: 'a\\b\n"c"', labelNames: ["l"] }).labels('a\\b\n"c"').set(1)
    expect(registry.render()).toBe(`# HELP g a\\\\b\\n"c"\n# TYPE g gauge\ng{l="a\\\\b\\n\\"c\\""} 1.0\n`)
  })

  test("created series stand beside counters and histograms", () => {
    const registry = new MetricsRegistry({ created: 12.5 })
    registry.counter({ name: "c", help: "C." }).labels()
    registry.gauge({ name: "g", help: "G." }).labels()
    registry.histogram({ name: "h", help: "H.", bounds: [1] }).labels()
    const created = registry.render().split("\n").filter((line) => line.includes("_created"))
    expect(created).toEqual([
      "# HELP c_created C.",
      "# TYPE c_created gauge",
      "c_created 12.5",
      "# HELP h_created H.",
      "# TYPE h_created gauge",
      "h_created 12.5",
    ])
  })

  test("numbers", () => {
    expect([0, 1, -2, 0.25, 1e21, Infinity, -Infinity, NaN].map(formatNumber)).toEqual([
      "0.0", "1.0", "-2.0", "0.25", "1e+21", "+Inf", "-Inf", "NaN",
    ])
  })
})

test("misuse is a bug", () => {
  const registry = new MetricsRegistry()
  const counter = registry.counter({ name: "c", help: "", labelNames: ["a"] })
  expect(() => registry.gauge({ name: "c", help: "" })).toThrow("twice")
  expect(() => registry.gauge({ name: "a b", help: "" })).toThrow("bad metric name")
  expect(() => registry.histogram({ name: "h", help: "", bounds: [2, 1] })).toThrow("ascend")
  expect(() => counter.labels()).toThrow("labels")
  expect(() => counter.labels("x").inc(-1)).toThrow("go down")
})

test("1-2-5 series end at the greatest bound within the limit", () => {
  expect(oneTwoFiveBounds(100)).toEqual([1, 2, 5, 10, 20, 50, 100])
  expect(oneTwoFiveBounds(99)).toEqual([1, 2, 5, 10, 20, 50])
  expect(oneTwoFiveBounds(0)).toEqual([])
})

test("a summary is a count and a sum", () => {
  const registry = new MetricsRegistry({ created: 1 })
  const size = registry.summary({ name: "size_bytes", help: "Size.", labelNames: ["a"] }).labels("x")
  for (const value of [2, 0.5]) size.observe(value)
  expect(registry.render()).toBe(`# HELP size_bytes Size.
# TYPE size_bytes summary
size_bytes_count{a="x"} 2.0
size_bytes_sum{a="x"} 2.5
# HELP size_bytes_created Size.
# TYPE size_bytes_created gauge
size_bytes_created{a="x"} 1.0
`)
})
