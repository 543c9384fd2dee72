import { describe, expect, test } from "bun:test"
import { RequestError } from "../../../src/base/errors.ts"
import type { NumberTexts } from "../../../src/base/json-number.ts"
import { isJsonNumber, numberTexts, parseExactly, withNumberTexts } from "../../../src/base/json-number.ts"

/** What is kept, as its text behind a mark; all else as it is. */
function shown(value: unknown): unknown {
  if (isJsonNumber(value)) return `number ${value.rawJSON}`
  if (Array.isArray(value)) return value.map(shown)
  if (typeof value !== "object" || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, shown(part)]))
}

describe("parseExactly", () => {
  const cases: [text: string, expected: unknown][] = [
    ["2512292042121000001", "number 2512292042121000001"],
    [" 1.0 ", "number 1.0"],
    ["[1e20, 1E2, -0.0, 1e400, -12345678901234567890]",
      ["number 1e20", "number 1E2", "number -0.0", "number 1e400", "number -12345678901234567890"]],
    ["[0, 7, -3, 0.5, 1e-3, 2.50, 9007199254740991]", [0, 7, -3, 0.5, 1e-3, 2.5, 9007199254740991]],
    ["9007199254740992", "number 9007199254740992"],
    ['{"a": {"b": [true, null, 2.0, "1.0"]}, "c\\n\\"": 3.0, "1.0": "2.0"}',
      { a: { b: [true, null, "number 2.0", "1.0"] }, "c\n\"": "number 3.0", "1.0": "2.0" }],
    ['{"\\\\": "\\\\\\"1.0", "x" : [ ] , "y" : { } , "z":1.0}', { "\\": "\\\"1.0", x: [], y: {}, z: "number 1.0" }],
    ['{"a": 1.0, "a": 2}', { a: 2 }],
    ['{"a": 1.0, "a": {"b": 4.0}}', { a: { b: "number 4.0" } }],
    ['{"__proto__": 1.0}', JSON.parse('{"__proto__": "number 1.0"}')],
  ]
  test.each(cases)("%s", (text, expected) => {
    expect(shown(parseExactly(text))).toEqual(expected)
  })

  test("gives what JSON.stringify writes as it was", () => {
    const text = '{"a":[1.0,1e20,{"b":2512292042121000001}],"c":-0.0,"d":1E400}'
    expect(JSON.stringify(parseExactly(text))).toBe(text)
  })

  test("throws as JSON.parse does", () => {
    for (const text of ["", "{", "01.0", "[1.0,]"]) expect(() => parseExactly(text)).toThrow(SyntaxError)
  })
})

describe("numberTexts", () => {
  test("is plain data, which may go between threads", () => {
    const text = '{"x": 1, "a": [0, {"b": 1.0}], "c": 2.0}'
    const texts = numberTexts(text)
    expect(texts).toEqual(new Map<string, NumberTexts>([["a", new Map([[1, new Map([["b", "1.0"]])]])], ["c", "2.0"]]))
    const value = withNumberTexts(JSON.parse(text), structuredClone(texts))
    expect(shown(value)).toEqual({ x: 1, a: [0, { b: "number 1.0" }], c: "number 2.0" })
    expect(numberTexts('["no number of 1.0"]')).toBeNull()
  })

  test("changes nothing but numbers", () => {
    const texts = new Map([["a", "1.0"], ["b", "2.0"], ["__proto__", "3.0"]])
    const value = { a: "text" }
    expect(withNumberTexts(value, texts)).toEqual({ a: "text" })
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype)
  })

  test("is bounded", () => {
    expect(isJsonNumber(parseExactly("9".repeat(4300)))).toBe(true)
    expect(() => numberTexts("9".repeat(4301))).toThrow(RequestError)
    const many = (count: number) => `[${Array<string>(count).fill("1.0").join(",")}]`
    expect((numberTexts(many(2 ** 15)) as Map<number, string>).size).toBe(2 ** 15)
    expect(() => numberTexts(many(2 ** 15 + 1))).toThrow(/more than 32768 numbers/)
  })
})
