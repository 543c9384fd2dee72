import { expect, test } from "bun:test"
import { Prng } from "../../../src/base/prng.ts"

function draw(seed: number, count: number): number[] {
  const prng = new Prng(seed)
  return Array.from({ length: count }, () => prng.uint32())
}

test("the same seed gives the same numbers, another seed others", () => {
  expect(draw(7, 5)).toEqual(draw(7, 5))
  expect(draw(7, 5)).not.toEqual(draw(8, 5))
  expect(draw(0, 3).some((x) => x !== 0)).toBe(true)
})

test("numbers are spread evenly over their range", () => {
  const prng = new Prng(1)
  const counts = new Array<number>(8).fill(0)
  for (let i = 0; i < 8000; i++) counts[prng.int(3, 10) - 3]! += 1
  for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(150)
  let sum = 0
  for (let i = 0; i < 10_000; i++) {
    const x = prng.float()
    expect(x >= 0 && x < 1).toBe(true)
    sum += x
  }
  expect(Math.abs(sum / 10_000 - 0.5)).toBeLessThan(0.02)
})

test("chance and pick", () => {
  const prng = new Prng(2)
  expect([prng.chance(0), prng.chance(1)]).toEqual([false, true])
  expect(prng.pick(["only"])).toBe("only")
  expect(() => prng.pick([])).toThrow("nothing to pick from")
  expect(() => prng.int(2, 1)).toThrow("int(2, 1)")
})
