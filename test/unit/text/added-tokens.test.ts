import { expect, test } from "bun:test"
import { tinyTokenizer } from "./tiny.ts"

const added = [
  { content: "<L>", lstrip: true }, { content: "<R>", rstrip: true }, { content: "<W>", single_word: true },
  { content: "<a>" }, { content: "<a>b" }, { content: "が", special: false, normalized: true },
]
const tokenizer = await tinyTokenizer({ added, steps: { normalizer: { type: "NFC" } } })

/** Ids as text: added tokens in brackets. */
const cut = (text: string) =>
  tokenizer
    .encode(text)
    .map((id) => (id < 256 ? String.fromCharCode(id) : `[${tokenizer.tokenString(id)}]`))
    .join("")

test("added tokens in text: leftmost, longest, with the white space they take along", () => {
  const rows: [string, string][] = [
    ["x<a>y", "x[<a>]y"],
    ["<a>b<a>c", "[<a>b][<a>]c"],
    ["<<a>", "<[<a>]"],
    ["x \n<L> y", "x[<L>] y"],
    ["x <R> \u0085y", "x [<R>]y"],
    ["x <R> \ufeffy", "x [<R>]\u00ef\u00bb\u00bfy"],
    ["<R>  <L>", "[<R>][<L>]"],
    ["x<W>y <W> <W>", "x<W>y [<W>] [<W>]"],
    ["x<W>\u200d", "x<W>\u00e2\u0080\u008d"],
    ["か\u3099x", "[が]x"], // found after normalizing
    ["", ""],
  ]
  for (const [text, expected] of rows) expect([text, cut(text)]).toEqual([text, expected])
})

test("special tokens are skipped on demand, others never", () => {
  const ids = tokenizer.encode("x<a>が")
  expect(tokenizer.decode(ids)).toBe("x<a>が")
  expect(tokenizer.decode(ids, { skipSpecialTokens: true })).toBe("xが")
  expect(tokenizer.decode(ids, { skipSpecialTokens: true, keptTokenIds: [ids[1]!] })).toBe("x<a>が")
  expect(ids.map((id) => tokenizer.isSpecial(id))).toEqual([false, true, false])
})

test("ids and pieces", () => {
  const id = tokenizer.tokenId("<a>")!
  expect([tokenizer.tokenString(id), tokenizer.tokenString(tokenizer.vocabSize), tokenizer.tokenId("absent")]).toEqual([
    "<a>",
    null,
    null,
  ])
  expect(tokenizer.tokenString(0x20)).toBe("Ġ")
  expect(tokenizer.vocabSize).toBe(256 + added.length)
  expect(tokenizer.decode([id, 100_000, -1])).toBe("<a>")
})
