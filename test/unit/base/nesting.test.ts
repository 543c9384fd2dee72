import { expect, test } from "bun:test"
import { isNestedDeeper } from "../../../src/base/nesting.ts"

test("counts lists and objects in each other", () => {
  expect([1, "[[]]", null, undefined, true].map((value) => isNestedDeeper(value, 0))).toEqual(Array(5).fill(false))
  expect([[[]], [{}]].map(([value]) => [isNestedDeeper(value, 0), isNestedDeeper(value, 1)]))
    .toEqual([[true, false], [true, false]])
  const mixed = { a: 1, b: [{}, { c: [1, 2] }, null] }
  expect([3, 4].map((limit) => isNestedDeeper(mixed, limit))).toEqual([true, false])
})

test("does not run out of stack itself", () => {
  expect(isNestedDeeper(JSON.parse("[".repeat(100_000) + "]".repeat(100_000)), 99_999)).toBe(true)
  expect(isNestedDeeper(JSON.parse("[".repeat(100_000) + "]".repeat(100_000)), 100_000)).toBe(false)
})
