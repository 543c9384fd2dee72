import { expect, test } from "bun:test"
import { ConfigError } from "../../../src/base/errors.ts"
import { ggufPreTokenizer } from "../../../src/text/gguf-pre-tokenizers.ts"
import { createPreTokenizer } from "../../../src/text/pre-tokenizer.ts"

const split = (behavior: string, invert = false) => ({ type: "Split", pattern: { Regex: "-+" }, behavior, invert })
const metaspace = (prepend_scheme: string, splits = true) => ({
  type: "Metaspace",
  replacement: "▁",
  prepend_scheme,
  split: splits,
})

// [step, text, pieces]
const ROWS: [Record<string, unknown> & { type: string }, string, string[]][] = [
  [split("Isolated"), "a--b-", ["a", "--", "b", "-"]],
  [split("Removed"), "a--b-", ["a", "b"]],
  [split("Removed", true), "a--b-", ["--", "-"]],
  [split("MergedWithPrevious"), "-a--b-", ["-", "a--", "b-"]],
  [split("MergedWithNext"), "-a--b-", ["-a", "--b", "-"]],
  [{ ...split("Contiguous"), pattern: { Regex: "-" } }, "a--b-", ["a", "--", "b", "-"]],
  [{ ...split("Isolated"), pattern: { String: "." } }, "a.b", ["a", ".", "b"]],
  [{ type: "Digits", individual_digits: true }, "a12٣", ["a", "1", "2", "٣"]],
  [{ type: "Digits", individual_digits: false }, "a12٣b", ["a", "12٣", "b"]],
  [{ type: "ByteLevel", add_prefix_space: true, use_regex: true }, "don't  go", [" don", "'t", " ", " go"]],
  [{ type: "ByteLevel", use_regex: false }, "don't go", ["don't go"]],
  [metaspace("always"), "a b", ["▁a", "▁b"]],
  [metaspace("never"), "a b", ["a", "▁b"]],
  [metaspace("always", false), "a b", ["▁a▁b"]],
  [{ type: "Whitespace" }, "a, b²", ["a", ",", "b", "²"]],
  [{ type: "WhitespaceSplit" }, " a,  b ", ["a,", "b"]],
  [
    { type: "Sequence", pretokenizers: [{ type: "WhitespaceSplit" }, split("Isolated")] },
    "a-b c",
    ["a", "-", "b", "c"],
  ],
]

test("pieces of each kind", () => {
  for (const [step, text, pieces] of ROWS)
    expect([step, createPreTokenizer(step).split(text, true)]).toEqual([step, pieces])
})

test("a space goes before the first section alone when the scheme says so", () => {
  const { split: pieces } = createPreTokenizer(metaspace("first"))
  expect([pieces("a b", true), pieces("a b", false)]).toEqual([["▁a", "▁b"], ["a", "▁b"]])
})

test("GGUF names", () => {
  const pieces = (name: string, text: string) =>
    createPreTokenizer(ggufPreTokenizer(name).preTokenizer).split(text, true)
  const text = "I'M 12345 a\n\n b"
  expect(pieces("gpt-2", text)).toEqual(["I", "'", "M", " 12345", " a", "\n\n", " b"])
  expect(pieces("smollm", text)).toEqual(["I", "'", "M", " ", "1", "2", "3", "4", "5", " a", "\n\n", " b"])
  expect(pieces("llama-bpe", text)).toEqual(["I", "'M", " ", "123", "45", " a", "\n\n", " b"])
  expect(pieces("qwen2", text)).toEqual(["I", "'M", " ", "1", "2", "3", "4", "5", " a", "\n\n", " b"])
  expect(pieces("gpt-4o", "HelloWorld don't/")).toEqual(["Hello", "World", " don't", "/"])
  expect(pieces("deepseek-v3", "你好abc 1234")).toEqual(["你好", "abc", " ", "123", "4"])
  expect(ggufPreTokenizer("qwen2").normalizer).toEqual({ type: "NFC" })
})

test("what is not known is refused", () => {
  for (const step of [
    { type: "Magic" },
    split("Sideways"),
    { type: "Split" },
    { ...split("Isolated"), pattern: { Regex: "(" } },
  ]) {
    expect(() => createPreTokenizer(step)).toThrow(ConfigError)
  }
  expect(() =>
    createPreTokenizer({ type: "Sequence", pretokenizers: [{ type: "ByteLevel" }, split("Isolated")] }),
  ).toThrow(/last/)
  expect(() => createPreTokenizer({ type: "Sequence", pretokenizers: 3 })).toThrow(/must be a list/)
})
