import { describe, expect, test } from "bun:test"
import { ConfigError } from "../../../src/base/errors.ts"
import { integer, jsonObject, oneOf, orAuto, share, text } from "../../../src/cli/parse-values.ts"

describe("integer", () => {
  const parse = integer({ min: 0 })
  const good: [string, number][] = [
    ["0", 0], ["128", 128], ["4k", 4000], ["4K", 4096], ["25.6k", 25600], ["1.5m", 1_500_000], ["2G", 2 ** 31],
    ["1T", 2 ** 40], ["0.001k", 1], ["1.1k", 1100],
  ]
  test.each(good)("%s is %d", (word, value) => expect(parse(word, "--n")).toBe(value))

  test.each(["", " ", "1.5", "1.5K", "4kk", "0x10", "1e3", "k", "-1", "9999999999999999", "1.0001k", "NaN", "4 k"])(
    "%j is refused", (word) => expect(() => parse(word, "--n")).toThrow(ConfigError))

  test("limits are part of the message", () => {
    const parse = integer({ min: 1, max: 9 })
    expect(() => parse("10", "--n")).toThrow('--n is "10", but must be a whole number from 1 to 9')
    const multiple = integer({ min: 16, max: 64, multipleOf: 16 })
    expect(multiple("48", "--n")).toBe(48)
    for (const word of ["24", "0", "80"])
      expect(() => multiple(word, "--n")).toThrow(`--n is "${word}", but must be a multiple of 16 from 16 to 64`)
    expect(() => integer({ min: 1 })("0", "--n")).toThrow('--n is "0", but must be a whole number of at least 1')
  })
})

test("orAuto: auto and -1 leave the choice to the server", () => {
  const parse = orAuto(integer({ min: 1 }))
  expect([parse("auto", "--n"), parse("-1", "--n"), parse("7", "--n")]).toEqual([null, null, 7])
})

test("share is more than 0 and at most 1", () => {
  expect([share("0.5", "--s"), share("1", "--s")]).toEqual([0.5, 1])
  for (const word of ["0", "1.01", "-0.5", "x", "", "NaN"]) expect(() => share(word, "--s")).toThrow(/--s is/)
})

test("oneOf names the choices", () => {
  expect(oneOf("a", "b")("b", "--t")).toBe("b")
  expect(() => oneOf("a", "b")("c", "--t")).toThrow('--t is "c", but must be one of a, b')
})

test("jsonObject takes objects only", () => {
  expect(jsonObject('{"temperature": 0}', "--j")).toEqual({ temperature: 0 })
  for (const word of ["", "{", "[]", "null", "3"]) expect(() => jsonObject(word, "--j")).toThrow(/a JSON object/)
})

test("text is not empty", () => {
  expect(() => text("", "--t")).toThrow(/not empty/)
})
