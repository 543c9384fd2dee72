import { describe, expect, test } from "bun:test"
import { defaultSamplingParams } from "../../../src/core/sampling-params.ts"
import type { SamplingParams } from "../../../src/core/sampling-params.ts"
import { OutputText } from "../../../src/engine/output-text.ts"
import { ToyTokenizer } from "../../toy-tokenizer.ts"

const tokenizer = new ToyTokenizer()
const EOS = tokenizer.eosTokenId

const textFor = (overrides: Partial<SamplingParams>) => new OutputText(tokenizer, defaultSamplingParams(overrides), [])
const bytes = (text: string) => tokenizer.encode(text, { addSpecialTokens: false })

/** Pushes each of `steps` as one step's tokens; the deltas, the last one taken as finished, and the last hit. */
function run(overrides: Partial<SamplingParams>, steps: string[]) {
  const text = textFor(overrides)
  const deltas: string[] = []
  for (const [i, step] of steps.entries()) {
    const hit = text.push(bytes(step), false)
    deltas.push(text.take(hit !== null || i === steps.length - 1))
    if (hit !== null) return { deltas, stop: hit.stop, numKept: hit.numKeptTokens }
  }
  return { deltas, stop: null, numKept: null }
}

describe("text", () => {
  test("a character comes when its last byte does", () => {
    const text = textFor({})
    const deltas = bytes("é€😀").map((id) => {
      text.push([id], false)
      return text.take(false)
    })
    expect(deltas).toEqual(["", "é", "", "", "€", "", "", "", "😀"])
  })

  test("a token that ended the choice has no text, unless stop strings are included", () => {
    for (const [includeStopStrInOutput, expected] of [[false, "hi"], [true, "hi!"]] as const) {
      const text = textFor({ includeStopStrInOutput })
      text.push(bytes("hi!"), true)
      expect(text.take(true)).toBe(expected)
    }
  })

  test("special tokens are skipped or written as asked", () => {
    for (const [skipSpecialTokens, expected] of [[true, "ab"], [false, "a<|eos|>b"]] as const) {
      const text = textFor({ skipSpecialTokens })
      text.push([97, EOS, 98], false)
      expect(text.take(true)).toBe(expected)
    }
  })
})

const NO_HIT = { stop: null, numKept: null }

describe("stop strings", () => {
  const rows: [string, Partial<SamplingParams>, string[], ReturnType<typeof run>][] = [
    ["cut the text", { stop: [" 8"] }, [" 7", " 8", " 9"], { deltas: [" 7", ""], stop: " 8", numKept: 2 }],
    ["may stay", { stop: [" 8"], includeStopStrInOutput: true }, [" 7", " 8"], { deltas: [" 7", " 8"], stop: " 8", numKept: 2 }],
    [
      "may begin in an earlier step",
      { stop: ["abc"] },
      ["xa", "b", "cd"],
      { deltas: ["x", "", ""], stop: "abc", numKept: 1 },
    ],
    [
      "hold back what could begin one, and nothing else",
      { stop: ["zza", "7"] },
      [" ", "z6", "z", "z", "z7"],
      { deltas: [" ", "z6", "", "", "zzz"], stop: "7", numKept: 2 },
    ],
    ["give back what was held for nothing", { stop: ["xyz"] }, ["ax", "y"], { deltas: ["a", "xy"], ...NO_HIT }],
    ["drop the tokens behind the match", { stop: ["b"] }, ["abcd"], { deltas: ["a"], stop: "b", numKept: 2 }],
    ["end at the first that completes", { stop: ["abcd", "bc"] }, ["abcd"], { deltas: ["a"], stop: "bc", numKept: 3 }],
    [
      "do not count the first min_tokens",
      { stop: ["a"], minTokens: 3 },
      ["a", "a", "a", "xa"],
      { deltas: ["a", "a", "a", "x"], stop: "a", numKept: 2 },
    ],
    [
      "need text behind min_tokens, however long the step",
      { stop: ["ab"], minTokens: 2 },
      ["abxab"],
      { deltas: ["abx"], stop: "ab", numKept: 5 },
    ],
    [
      "may reach back into the first min_tokens",
      { stop: ["ab"], minTokens: 1 },
      ["a", "b"],
      { deltas: ["", ""], stop: "ab", numKept: 1 },
    ],
    ["never split a character", { stop: ["\ude00z"] }, ["😀", "a"], { deltas: ["", "😀a"], ...NO_HIT }],
  ]
  for (const [name, overrides, steps, expected] of rows)
    test(name, () => expect(run(overrides, steps)).toEqual(expected))

  // The vectors of vLLM's own test of its search.
  const vectors: [string[], string[], boolean, string, string][] = [
    [[" The user", " is a"], ["a", "is"], false, "is", " The user "],
    [[" The user", " is a"], ["a", "is"], true, "is", " The user is"],
    [["abc"], ["abc", "b"], false, "b", "a"],
    [["ab"], ["ab", "b"], false, "ab", ""],
    [["ab"], ["b", "ab"], false, "b", "a"],
    [["hello world", "."], ["."], false, ".", "hello world"],
    [["hello world", "."], ["."], true, ".", "hello world."],
  ]
  test.each(vectors)("in %j, looking for %j (included: %p), find %j and leave %j", (steps, stop, include, found, text) => {
    const { deltas, stop: hit } = run({ stop, includeStopStrInOutput: include }, steps)
    expect([hit, deltas.join("")]).toEqual([found, text])
  })

  test("one in the middle of a token cuts that token's text", () => {
    class Words extends ToyTokenizer {
      override decodeStream() {
        return { push: (id: number) => ["beginning", " gani", "zation"][id] ?? "", flush: () => "" }
      }
    }
    const text = new OutputText(new Words(), defaultSamplingParams({ stop: ["gani"] }), [])
    expect(text.push([0], false)).toBeNull()
    expect(text.push([1, 2], false)).toEqual({ stop: "gani", numKeptTokens: 1 })
    expect(text.take(true)).toBe("beginning ")
  })

  test("win over the stop token of the same step", () => {
    const text = textFor({ stop: ["b"] })
    expect(text.push([97, 98, EOS], true)).toEqual({ stop: "b", numKeptTokens: 2 })
    expect(text.take(true)).toBe("a")
  })

  test("are not looked for in the text a stop token would have had", () => {
    const text = textFor({ stop: ["!"] })
    expect(text.push(bytes("hi!"), true)).toBeNull()
    expect(text.take(true)).toBe("hi")
  })
})
