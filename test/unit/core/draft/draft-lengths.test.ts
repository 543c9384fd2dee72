import { expect, test } from "bun:test"
import { DraftLengths } from "../../../../src/core/draft/draft-lengths.ts"

/** Lengths over steps in which `accept(length)` of a draft's tokens are right. */
function lengths(numSteps: number, accept: (length: number) => number): number[] {
  const course = new DraftLengths(16)
  return Array.from({ length: numSteps }, () => {
    const numTokens = course.next("r")
    if (numTokens > 0) course.record("r", { numTokens, numAccepted: accept(numTokens) })
    return numTokens
  })
}

test("drafts that are right get longer, up to the limit", () => {
  expect(lengths(5, (length) => length)).toEqual([4, 8, 16, 16, 16])
})

test("drafts that are wrong get shorter, then seldom", () => {
  const course = lengths(600, () => 0)
  expect(course.slice(0, 5)).toEqual([4, 2, 1, 0, 0])
  const tried = course.flatMap((length, step) => (length > 0 ? [step] : []))
  expect(tried.slice(2, 6).map((step, i, all) => step - (all[i - 1] ?? 2))).toEqual([0, 8, 16, 32])
  expect(tried.length).toBeLessThan(14)
})

test("a draft that is right in part is followed by one about as long as that part", () => {
  expect(lengths(4, (length) => Math.min(3, length))).toEqual([4, 4, 4, 4])
  expect(lengths(3, () => 1)).toEqual([4, 2, 2])
})

test("requests have courses of their own, which end with them", () => {
  const course = new DraftLengths(16)
  course.record("a", { numTokens: 4, numAccepted: 4 })
  expect([course.next("a"), course.next("b")]).toEqual([8, 4])
  course.finish("a")
  expect(course.next("a")).toBe(4)
})
