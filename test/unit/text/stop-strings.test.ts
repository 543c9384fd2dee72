import { expect, test } from "bun:test"
import { IncrementalDetokenizer, type DetokenizerOptions } from "../../../src/text/detokenizer.ts"
import { checkStopStrings, heldLength } from "../../../src/text/stop-strings.ts"
import { tinyTokenizer } from "./tiny.ts"

// [text, new characters, stop, include, stop string, truncate to]
const VECTORS: [string, number, string[], boolean, string | null, number | null][] = [
  [" The user is a", 5, ["a", "is"], false, "is", 10],
  [" The user is a", 5, ["a", "is"], true, "is", 12],
  ["abc", 3, ["abc", "b"], false, "b", 1],
  ["ab", 2, ["ab", "b"], false, "ab", 0],
  ["ab", 2, ["b", "ab"], false, "b", 1],
  ["hello world.", 1, ["."], false, ".", 11],
  ["hello world.", 1, ["."], true, ".", -1],
  ["hello world.", 0, ["."], false, null, null],
  ["hello world.", 5, [], false, null, null],
  ["a.b", 1, ["."], false, null, null], // completed before the new characters
  ["xENDy", 2, ["END"], false, "END", 1], // begins before them
]

test("stop strings: the first to be completed, cut or kept", () => {
  for (const [text, numNew, stop, include, stopString, truncateTo] of VECTORS) {
    const match = checkStopStrings(text, numNew, stop, include)
    expect([text, match?.stopString ?? null, match?.truncateTo ?? null]).toEqual([text, stopString, truncateTo])
  }
})

test("held: the longest end of the text that a stop string goes on from", () => {
  const rows: [string, string[], number][] = [
    ["abc", ["cd"], 1],
    ["abc", ["bcd", "cx"], 2],
    ["abc", ["abc"], 0],
    ["aaa", ["aaaa"], 3],
    ["abc", [], 0],
    ["", ["x"], 0],
  ]
  for (const [text, stop, held] of rows) expect([text, heldLength(text, stop)]).toEqual([text, held])
})

const tokenizer = await tinyTokenizer({ added: [{ content: "<|end|>" }] })
const end = tokenizer.tokenId("<|end|>")!

/** Releases of each step, then what `finish` gives. */
function run(steps: (string | number[])[], options: DetokenizerOptions, stopTerminated = false) {
  const detokenizer = new IncrementalDetokenizer(tokenizer, options)
  const updates = steps.map((step, i) =>
    detokenizer.update(
      typeof step === "string" ? tokenizer.encode(step) : step,
      stopTerminated && i === steps.length - 1,
    ),
  )
  return { texts: updates.map((update) => update.text), last: updates.at(-1)!, rest: detokenizer.finish(), detokenizer }
}

test("a stop string that is split at every byte", () => {
  const { texts, last } = run(
    [..."say 🙂STOP"].flatMap((char) => tokenizer.encode(char).map((id) => [id])),
    { stop: ["🙂STOP"] },
  )
  expect(texts.join("")).toBe("say ")
  expect(last.stopString).toBe("🙂STOP")
})

test("an end that could go on to a stop string waits, nothing else does", () => {
  const { texts, rest, detokenizer } = run(["ab", "c", "S", "T", "x", "ST"], { stop: ["STOP"] })
  expect(texts).toEqual(["ab", "c", "", "", "STx", ""])
  expect(rest).toBe("ST")
  expect(detokenizer.text).toBe("abcSTxST")
  expect(detokenizer.finish()).toBe("")
})

test("included stop strings are not held back, and end the text", () => {
  const { texts, last, rest } = run(["a", "ST", "OPxyz"], { stop: ["STOP"], includeStopStrInOutput: true })
  expect(texts).toEqual(["a", "ST", "OP"])
  expect([last.stopString, last.numTokensKept, rest]).toEqual(["STOP", 2, ""])
})

test("tokens after the one that completes the stop string are not kept", () => {
  const { last, detokenizer } = run(["hello.world"], { stop: ["."] })
  expect(last).toEqual({ text: "hello", stopString: ".", numTokensKept: 6 })
  expect(detokenizer.tokenIds).toEqual(tokenizer.encode("hello."))
})

test("the first min_tokens tokens do not complete a stop string", () => {
  expect(run(["a", ".", "b", "."], { stop: ["."], minTokens: 2 }).texts).toEqual(["a", ".", "b", ""])
  expect(run(["a.b"], { stop: ["."], minTokens: 2 }).last.stopString).toBeNull()
  // It may begin in them.
  expect(run(["a", "b"], { stop: ["ab"], minTokens: 1 }).last).toEqual({ text: "", stopString: "ab", numTokensKept: 1 })
})

test("the stop token that ended the request gives no text, unless stop strings are included", () => {
  const options = { skipSpecialTokens: false }
  const { last, detokenizer } = run(["hi", [33, end]], options, true)
  expect(last).toEqual({ text: tokenizer.decode([33]), stopString: null, numTokensKept: 2 })
  expect(detokenizer.tokenIds.at(-1)).toBe(end)
  expect(run(["hi", [end]], { ...options, includeStopStrInOutput: true }, true).last.text).toBe("<|end|>")
  expect(run(["hi", [end]], { includeStopStrInOutput: true }, true).last.text).toBe("")
})

test("half a character at the end of a request gives no text", () => {
  const half = tokenizer.encode("🙂").slice(0, 2)
  const { texts, rest } = run(["a", half], {})
  expect([...texts, rest]).toEqual(["a", "", ""])
})

test("without detokenize there is no text", () => {
  const { last, detokenizer } = run(["abc"], { detokenize: false })
  expect(last).toEqual({ text: "", stopString: null, numTokensKept: 3 })
  expect(detokenizer.tokenIds).toEqual(tokenizer.encode("abc"))
})
