import { expect, test } from "bun:test"
import { dataSize } from "../../../../src/api/work/data-size.ts"

test("counts characters, and 64 for each value", () => {
  expect(["abc", 1, null, undefined, [], {}].map((value) => dataSize(value, 1e6))).toEqual([67, 64, 64, 64, 64, 64])
  expect(dataSize({ a: [1, "bc"], d: { e: "f" } }, 1e6)).toBe(6 * 64 + 3)
})

test("goes no further than the limit", () => {
  const item = { get a(): never { throw new Error("looked at") } }
  expect(dataSize([Array(1000).fill(item)], 1000)).toBe(Infinity)
  expect(dataSize([item, "x".repeat(1000)], 1000)).toBeGreaterThan(1000)
  const deep = JSON.parse("[".repeat(100_000) + "]".repeat(100_000)) as unknown
  expect(dataSize(deep, 1e9)).toBe(64 * 100_000)
})
