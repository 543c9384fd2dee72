import { expect, test } from "bun:test"
import { tokenBytes, tokenText, tokenTextAfter } from "../../../src/text/token-text.ts"
import { tinySentencePiece, tinyTokenizer } from "./tiny.ts"

test("the token that completes a character gets all of it, those before it nothing", async () => {
  const tokenizer = await tinyTokenizer()
  const ids = tokenizer.encode("a🙂é.")
  expect(ids.map((_, i) => tokenText(tokenizer, ids, i))).toEqual(["a", "", "", "", "🙂", "", "é", "."])
})

test("text of complete tokens before a character stays theirs", async () => {
  const tokenizer = await tinyTokenizer()
  const [first, second] = tokenizer.encode("é")
  expect(tokenTextAfter(tokenizer, [...tokenizer.encode("xy"), first!], second!)).toBe("é")
})

test("a token that is never completed gives nothing", async () => {
  const tokenizer = await tinyTokenizer()
  expect(tokenTextAfter(tokenizer, [0xff, 0xff, 0xff, 0xff, 0xff], 0xff)).toBe("")
  expect(tokenTextAfter(tokenizer, [], tokenizer.encode("é")[0]!)).toBe("")
})

test("byte fallback tokens", async () => {
  const tokenizer = await tinySentencePiece("ab")
  const ids = tokenizer.encode("a你b")
  expect(ids.map((_, i) => tokenText(tokenizer, ids, i))).toEqual(["", "a", "", "", "你", "b"])
})

test("bytes of a token's text", () => expect(tokenBytes("é!")).toEqual([0xc3, 0xa9, 0x21]))
