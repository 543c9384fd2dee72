import { describe, expect, test } from "bun:test"
import { and, holds, lengthBetween, literals, not, or } from "../../../src/grammar/automata/automaton.ts"
import {
  anyDecimal, compared, digitsUpTo, multiplesOf, plainWholeNumbers, shortestSpellings, wholeNumbers,
} from "../../../src/grammar/automata/decimals.ts"
import { explore, TooManyStates } from "../../../src/grammar/automata/dfa.ts"
import { matching, searching } from "../../../src/grammar/automata/regex-automaton.ts"
import { RegexError } from "../../../src/grammar/automata/regex-syntax.ts"

const TEXTS = [
  "", "a", "aa", "aaaaab", "aab", "foo1", "xfoo", "bar", "yx", "xy", "123", "a12b3", "zz", "yz", "z", "É", "\u0003",
  "c", "ab-c@d", "\n", "😀", "😀x", " ", "A_9", "\u2028",
]

describe("a regular expression finds what the engine's finds", () => {
  test.each([
    "^a+$", "a", "^(foo|bar)", "x$", "^$", "", "^a{2,4}b?$", "\\d{3}", "^[^x]*$", "(^|y)z", "\\p{Lu}", "^\\cC$", "a|b|",
    "(a|b)*c$", "[\\w-]+@", "^.$", "^[\\s\\S]$", "^\\u{1F600}", "\\uD83D\\uDE00", "^(?:a|(?<n>b))+?", "[^\\d]\\w",
    "^\\x41", "a{0}b", "(^a|b$)", "[a-c-]", "\\.|\\-",
  ])("%s", (source) => {
    const expected = new RegExp(source, source === "\\.|\\-" ? "" : "u")
    const automaton = searching(source)
    expect(TEXTS.filter((text) => holds(automaton, text))).toEqual(TEXTS.filter((text) => expected.test(text)))
  })

  test.each([
    ["(?=a)b", /lookahead/], ["(?<!a)b", /lookbehind/], ["(a)\\1", /back reference/], ["\\bfoo", /word boundary/],
    ["(", /not a regular expression/], ["a{30000}", /more than 20000 places/],
  ])("%s is refused in words", (source, words) => {
    expect(() => searching(source)).toThrow(RegexError)
    expect(() => searching(source)).toThrow(words)
  })

  test("or matches the whole text", () => {
    expect(["ab", "xab", "abx"].filter((text) => holds(matching("ab"), text))).toEqual(["ab"])
  })
})

describe("languages", () => {
  test("are put together", () => {
    const both = and(searching("^[a-z]+$"), lengthBetween(2, 3), not(literals(["no"])))
    expect(["a", "ab", "no", "abcd", "a1", "abc"].filter((text) => holds(both, text))).toEqual(["ab", "abc"])
    expect(holds(or(literals(["x"]), literals(["y"])), "y")).toBe(true)
  })

  test("that are empty have no states", () => {
    expect(explore(and(searching("^a$"), searching("^b$")), 100)).toBeNull()
    expect(explore(and(lengthBetween(3, 9), lengthBetween(0, 2)), 100)).toBeNull()
  })

  test("have as few states as they can", () => {
    expect(explore(literals(["ab", "cb"]), 100)).toHaveLength(3)
    expect(explore(or(searching("a"), not(searching("a"))), 100)).toHaveLength(1)
  })

  test("with too many states are given up", () => {
    expect(() => explore(lengthBetween(0, 50), 10)).toThrow(TooManyStates)
  })
})

const NUMBERS = [
  "0", "-0", "1", "-1", "3.14", "3.140", "3.1400001", "3.1", "99", "100", "100.0", "100.01", "101", "1000", "-2.5",
  "-2.4", "-2.50001", "0.01", "0.009", "-0.001", "-0.0010", "-0.0009", "1000000000000000000000", "0.0000001", "12.5",
  "-12", "3.0",
]

describe("numbers", () => {
  test.each([0, 1, -1, 3.14, -2.5, 100, 0.01, 1e21, -0.001, 1e-7])("compare with %p by value", (bound) => {
    for (const text of NUMBERS) {
      const order = Math.sign(Number(text) - bound)
      const found = ([-1, 0, 1] as const).filter((wanted) => holds(compared(bound, (each) => each === wanted), text))
      expect([text, ...found]).toEqual([text, order === 0 ? 0 : (order as -1 | 1)])
    }
  })

  test.each([
    [2, ["0", "-0", "100", "100.0", "1000", "-12"]], [0.5, ["3.0", "12.5", "-2.5"]], [0.01, ["3.14", "3.140", "0.01"]],
  ])(
    "multiples of %p", (divisor, some) => {
      const multiples = multiplesOf(divisor, 1000)!
      for (const text of some) expect([text, holds(multiples, text)]).toEqual([text, true])
      expect(holds(multiples, "0.009")).toBe(false)
    },
  )

  test("have too many digits for a grammar at some point", () => {
    expect(multiplesOf(0.123456789, 20_000)).toBeNull()
  })

  test("are told by how they are written", () => {
    const texts = ["1", "1.0", "1.5", "1.50", "-0", "1.", "01", "+1", "1e5"]
    const which = (automaton: ReturnType<typeof anyDecimal>) => texts.filter((text) => holds(automaton, text))
    expect(which(anyDecimal())).toEqual(["1", "1.0", "1.5", "1.50", "-0"])
    expect(which(wholeNumbers())).toEqual(["1", "1.0", "-0"])
    expect(which(plainWholeNumbers())).toEqual(["1"])
    expect(which(shortestSpellings())).toEqual(["1", "1.5"])
    expect(["123.4", "1234", "1.234"].filter((text) => holds(digitsUpTo(3), text))).toEqual(["123.4", "1.234"])
  })
})
