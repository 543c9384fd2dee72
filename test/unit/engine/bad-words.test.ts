import { expect, test } from "bun:test"
import { RequestError } from "../../../src/base/errors.ts"
import { tokenizeBadWords } from "../../../src/engine/bad-words.ts"
import { ToyTokenizer } from "../../toy-tokenizer.ts"

/** Words are tokens; a word after a space is another token than the same word at the start. */
class WordTokenizer extends ToyTokenizer {
  override encode(text: string): number[] {
    return (text.match(/ ?\S+/g) ?? []).map((word) => WORDS.indexOf(word))
  }
}
const WORDS = ["bad", " bad", "very", " very", "x"]

const tokenizer = new WordTokenizer()

test("a word is forbidden at the start of a text and after a space", () => {
  expect(tokenizeBadWords(["bad"], tokenizer)).toEqual([[0], [1]])
  expect(tokenizeBadWords(["very bad"], tokenizer)).toEqual([[2, 1], [3, 1]])
  expect(tokenizeBadWords(["  bad"], tokenizer)).toEqual([[0], [1]])
})

test("the spaced form is left out where it is longer or begins alike", () => {
  expect(tokenizeBadWords(["ab"], new ToyTokenizer())).toEqual([[97, 98]])
})

test("no words forbid nothing", () => {
  expect(tokenizeBadWords([], tokenizer)).toBeNull()
})

test("an empty word is refused", () => {
  expect(() => tokenizeBadWords(["bad", "  "], tokenizer)).toThrow(RequestError)
})

test("at most 128 sequences", () => {
  const words = (count: number) => Array.from({ length: count }, () => "bad")
  expect(tokenizeBadWords(words(64), tokenizer)).toHaveLength(128)
  expect(() => tokenizeBadWords(words(65), tokenizer)).toThrow(
    expect.objectContaining({ param: "bad_words", status: 400 }),
  )
})

test("at most 16384 characters", () => {
  expect(tokenizeBadWords(["x".repeat(16_384)], tokenizer)).toHaveLength(1)
  expect(() => tokenizeBadWords(["x".repeat(8192), "x".repeat(8193)], tokenizer)).toThrow("got 16385")
})
