import { describe, expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { dirname } from "node:path"
import { ConfigError } from "../../../src/base/errors.ts"
import { parseGguf } from "../../../src/model/load/gguf-header.ts"
import { byteToChar } from "../../../src/text/byte-level.ts"
import { findGgufChatTemplates } from "../../../src/text/find-chat-template.ts"
import { loadTokenizerFromGguf } from "../../../src/text/gguf-tokenizer.ts"
import { loadTokenizerFromDirectory } from "../../../src/text/load-tokenizer.ts"
import type { Tokenizer } from "../../../src/text/tokenizer.ts"
import { fixture } from "../../fixtures.ts"

const TEXTS = ["Hello, world!", "<|im_start|>user\nhi<|im_end|>\n", "  two  spaces\n\n\t1234 don't", "naïve 🙂 你好", ""]

for (const path of ["gguf-llama/Q4_0", "gguf-qwen2/Q8_0", "gguf-k-llama/Q4_K_M"]) {
  const file = fixture(`models/${path}/model.gguf`)
  if (file === null) continue
  test(`${path}: the embedded vocabulary is the tokenizer.json beside it`, async () => {
    const bytes = new Uint8Array(readFileSync(file))
    const { metadata } = parseGguf(bytes, bytes.length, file)
    const embedded = await loadTokenizerFromGguf(metadata)
    const original = await loadTokenizerFromDirectory(dirname(file))
    for (const text of TEXTS) {
      const ids = original.encode(text)
      expect(embedded.encode(text)).toEqual(ids)
      expect(embedded.decode(ids)).toBe(original.decode(ids))
      expect(embedded.decode(ids, { skipSpecialTokens: true })).toBe(original.decode(ids, { skipSpecialTokens: true }))
    }
    expect([embedded.bosTokenId, embedded.eosTokenId, embedded.padTokenId]).toEqual([
      original.bosTokenId,
      original.eosTokenId,
      original.padTokenId,
    ])
    expect(findGgufChatTemplates(metadata).get("default")).toContain("<|im_start|>")
  })
}

/** Byte-level: bytes, then "he", "llo" and so on, then two control tokens. */
function gpt2Metadata(changes: Record<string, unknown> = {}): Map<string, unknown> {
  const bytes = Array.from({ length: 256 }, (_, byte) => byteToChar(byte))
  const fields = {
    model: "gpt2",
    pre: "smollm",
    tokens: [...bytes, "he", "<s>", "</s>"],
    token_type: new Int32Array([...bytes.map(() => 1), 1, 3, 3]),
    merges: ["h e"],
    bos_token_id: 257,
    eos_token_id: 258n,
    ...changes,
  }
  return new Map(Object.entries(fields).map(([key, value]) => [`tokenizer.ggml.${key}`, value]))
}

/** SentencePiece: a score a piece, the higher the earlier it is merged. */
function llamaMetadata(changes: Record<string, unknown> = {}): Map<string, unknown> {
  const bytes = Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`)
  const pieces = ["▁", "a", "b", "ab", "▁a", "▁ab"]
  const fields = {
    model: "llama",
    tokens: ["<unk>", "<s>", "</s>", ...bytes, ...pieces],
    token_type: [2, 3, 3, ...bytes.map(() => 6), ...pieces.map(() => 1)],
    scores: [0, 0, 0, ...bytes.map(() => 0), -10, -10, -10, -2, -1, -3],
    bos_token_id: 1,
    eos_token_id: 2,
    unknown_token_id: 0,
    ...changes,
  }
  return new Map(Object.entries(fields).map(([key, value]) => [`tokenizer.ggml.${key}`, value]))
}

describe("kind gpt2", () => {
  test("numbers are split by the rule of `pre`", async () => {
    const tokenizer = await loadTokenizerFromGguf(gpt2Metadata())
    expect(tokenizer.kind).toBe("tiktoken")
    expect(tokenizer.encode("he")).toEqual([256])
    expect(tokenizer.encode("<s>he</s>")).toEqual([257, 256, 258])
    expect([tokenizer.bosTokenId, tokenizer.eosTokenId, tokenizer.padTokenId]).toEqual([257, 258, null])
  })

  test("a merge outside the vocabulary does nothing, whoever merges", async () => {
    // "el" is no token and "zz" none either: "e l" would take the e from "h e" if it were applied.
    const unknown = ["e l", "zz e"]
    const ours = await loadTokenizerFromGguf(gpt2Metadata({ merges: [...unknown, "h e"] }))
    // These are out of order, so that only the library can apply them.
    const tokens = [...(gpt2Metadata().get("tokenizer.ggml.tokens") as string[]), "ll", "lll", "llll"]
    const merges = [...unknown, "h e", "ll l", "l l", "ll ll"]
    const theirs = gpt2Metadata({ tokens, token_type: tokens.map(() => 1), merges })
    const library = await loadTokenizerFromGguf(theirs)
    expect([ours.kind, library.kind]).toEqual(["tiktoken", "huggingface"])
    const pieces = (tokenizer: Tokenizer) => tokenizer.encode("hello").map((id) => tokenizer.tokenString(id))
    expect(pieces(ours)).toEqual(["he", "l", "l", "o"])
    expect(pieces(library)).toEqual(["he", "ll", "o"])
  })

  test("BOS goes first where the file or the kind of `pre` says so", async () => {
    expect((await loadTokenizerFromGguf(gpt2Metadata({ add_bos_token: true }))).encode("he")).toEqual([257, 256])
    expect((await loadTokenizerFromGguf(gpt2Metadata({ pre: "llama-bpe" }))).encode("he")).toEqual([257, 256])
    expect(
      (
        await loadTokenizerFromGguf(gpt2Metadata({ pre: "llama-bpe", add_bos_token: false, add_eos_token: true }))
      ).encode("he"),
    ).toEqual([256, 258])
  })
})

describe("kind llama", () => {
  test("the highest score is merged first, unknown characters become bytes", async () => {
    const tokenizer = await loadTokenizerFromGguf(llamaMetadata())
    const id = (piece: string) => tokenizer.tokenId(piece)!
    expect(tokenizer.kind).toBe("huggingface")
    // "▁a" (-1) before "ab" (-2); then "▁ab" (-3) from "▁a" and "b".
    expect(tokenizer.encode("ab b")).toEqual([1, id("▁ab"), id("▁"), id("b")])
    expect(tokenizer.encode("é")).toEqual([1, id("▁"), id("<0xC3>"), id("<0xA9>")])
    expect(tokenizer.decode(tokenizer.encode("ab b é"), { skipSpecialTokens: true })).toBe("ab b é")
  })

  test("no space before the text when the file says so", async () => {
    const tokenizer = await loadTokenizerFromGguf(llamaMetadata({ add_space_prefix: false, add_bos_token: false }))
    expect(tokenizer.encode("ab")).toEqual([tokenizer.tokenId("ab")!])
    expect(tokenizer.decode(tokenizer.encode(" ab"))).toBe(" ab")
  })
})

describe("what makes a model worse is told", () => {
  async function warnings(metadata: Map<string, unknown>): Promise<string[]> {
    const lines: string[] = []
    await loadTokenizerFromGguf(metadata, (line) => lines.push(line))
    return lines
  }

  test("a missing pre-tokenizer, loudly", async () => {
    const metadata = gpt2Metadata()
    metadata.delete("tokenizer.ggml.pre")
    const lines = await warnings(metadata)
    expect(lines[0]).toContain("tokenizer.ggml.pre is missing")
    expect(lines.join("\n")).toContain("GENERATION QUALITY WILL BE DEGRADED!")
    expect((await loadTokenizerFromGguf(metadata)).encode("he")).toEqual([256])
  })

  test("nothing of files that say what they are", async () => {
    expect(await warnings(gpt2Metadata())).toEqual([])
    expect(await warnings(gpt2Metadata({ pre: "default" }))).toEqual([])
    expect(await warnings(llamaMetadata())).toEqual([])
  })

  test("a padding token out of range, which is none", async () => {
    const metadata = gpt2Metadata({ padding_token_id: 259 })
    expect(await warnings(metadata)).toEqual([
      "tokenizer.ggml.padding_token_id is 259, and the vocabulary has 259 tokens: it is ignored",
    ])
    expect((await loadTokenizerFromGguf(metadata)).padTokenId).toBeNull()
    for (const none of [-1, 0xffff_ffff]) expect(await warnings(gpt2Metadata({ padding_token_id: none }))).toEqual([])
  })
})

test("ends of turns are special tokens in a file that tells no types", async () => {
  const tokens = [...(gpt2Metadata().get("tokenizer.ggml.tokens") as string[]), "<|im_end|>"]
  const metadata = gpt2Metadata({ tokens })
  metadata.delete("tokenizer.ggml.token_type")
  const tokenizer = await loadTokenizerFromGguf(metadata)
  expect(tokenizer.encode("he<|im_end|>")).toEqual([256, 259])
  expect(tokenizer.isSpecial(259)).toBe(true)
})

test("what cannot be used is refused by name", async () => {
  const rows: [Map<string, unknown>, RegExp][] = [
    [gpt2Metadata({ pre: "made-up" }), /tokenizer\.ggml\.pre "made-up" is not known/],
    [gpt2Metadata({ model: "bert" }), /tokenizer\.ggml\.model "bert" is not supported/],
    [new Map(), /tokenizer\.ggml\.model must be a string, found nothing/],
    [gpt2Metadata({ tokens: [] }), /tokens is empty/],
    [gpt2Metadata({ tokens: "x" }), /tokens must be a list of strings/],
    [gpt2Metadata({ merges: undefined }), /merges must be a list of strings/],
    [gpt2Metadata({ merges: ["h"] }), /merge "h" is not of two pieces/],
    [gpt2Metadata({ token_type: [1] }), /token_type has 1 entries for 259 tokens/],
    [gpt2Metadata({ eos_token_id: 259 }), /eos_token_id must be a token id below 259/],
    [gpt2Metadata({ add_bos_token: "yes" }), /add_bos_token must be true or false/],
    [llamaMetadata({ scores: undefined }), /scores must be a list of numbers/],
  ]
  for (const [metadata, message] of rows) {
    const error: unknown = await loadTokenizerFromGguf(metadata).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(ConfigError)
    expect((error as Error).message).toMatch(message)
  }
})
