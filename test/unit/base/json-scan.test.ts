import { describe, expect, test } from "bun:test"
import { Prng } from "../../../src/base/prng.ts"
import { scanJson } from "../../../src/base/json-scan.ts"
import type { JsonLimits } from "../../../src/base/json-scan.ts"

const NO_LIMITS: JsonLimits = { maxDepth: 1000, maxValues: 1e9, maxNumbers: 1e9 }

function scan(text: string, limits: Partial<JsonLimits> = {}) {
  return scanJson(new TextEncoder().encode(text), { ...NO_LIMITS, ...limits })
}

/** The same counts from the parsed value. */
function count(value: unknown): { numValues: number; numNumbers: number } {
  if (Array.isArray(value) && value.length > 0 && value.every((item) => typeof item === "number"))
    return { numValues: 1, numNumbers: value.length }
  if (typeof value !== "object" || value === null) return { numValues: 1, numNumbers: 0 }
  const items: unknown[] = Array.isArray(value) ? value : Object.values(value)
  const counts = items.map(count)
  return {
    numValues: 1 + (Array.isArray(value) ? 0 : items.length) + counts.reduce((sum, each) => sum + each.numValues, 0),
    numNumbers: counts.reduce((sum, each) => sum + each.numNumbers, 0),
  }
}

const SCALARS = [
  0, -1, 1.5e-7, 12345, true, false, null, "", "x", "\\", "\"", "a\\\"b", "[{]},:1", "é\u2028😀\n", "\\\\",
]

function randomValue(prng: Prng, depth: number): unknown {
  const kind = prng.uint32() % (depth === 0 ? 2 : 5)
  const scalar = () => SCALARS[prng.uint32() % SCALARS.length]
  const length = prng.uint32() % 5
  if (kind < 2) return scalar()
  if (kind === 2) return Array.from({ length }, () => prng.uint32() % 1000)
  if (kind === 3) return Array.from({ length }, () => randomValue(prng, depth - 1))
  return Object.fromEntries(Array.from({ length }, (_, i) => [`${scalar()}${i}`, randomValue(prng, depth - 1)]))
}

test("counts what the parser would make", () => {
  const prng = new Prng(7)
  for (let i = 0; i < 500; i++) {
    const value = randomValue(prng, 4)
    for (const indent of [0, 2]) {
      const text = JSON.stringify(value, null, indent)
      expect({ text, ...(scan(text) as object) }).toEqual({ text, ...count(value) })
    }
  }
})

describe("stops at a limit", () => {
  test.each<[string, string, Partial<JsonLimits>, unknown]>([
    ["values", "[{},{},{}]", { maxValues: 4 }, { numValues: 4, numNumbers: 0 }],
    ["values", "[{},{},{}]", { maxValues: 3 }, "maxValues"],
    ["names of fields are values", '{"a":1,"b":2}', { maxValues: 4 }, "maxValues"],
    ["numbers", "[1,2,3]", { maxNumbers: 3, maxValues: 1 }, { numValues: 1, numNumbers: 3 }],
    ["numbers", "[1,2,3]", { maxNumbers: 2 }, "maxNumbers"],
    ["numbers among others are values", '[1,2,3,"a"]', { maxValues: 4 }, "maxValues"],
    ["numbers after others are values", '["a",1,2,3]', { maxValues: 4 }, "maxValues"],
    ["depth", "[[1]]", { maxDepth: 2 }, { numValues: 2, numNumbers: 1 }],
    ["depth", "[[1]]", { maxDepth: 1 }, "maxDepth"],
    ["depth, whatever is in strings", '["[[[["]', { maxDepth: 1 }, { numValues: 2, numNumbers: 0 }],
  ])("%s: %s", (_, text, limits, wanted) => {
    expect(scan(text, limits)).toEqual(wanted as never)
  })
})

test.each(["", "]]]}}", '"never ends', '"\\', "nonsense", "{{{{", '["\\"', "1 2 3", "\u0000\u0001"])(
  "goes through what is not JSON: %j", (text) => {
    expect(typeof scan(text)).toBe("object")
  },
)
