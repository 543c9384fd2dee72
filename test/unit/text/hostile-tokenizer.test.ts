/**
 * Tokenizer files come from strangers: what cannot be used is refused with words, before anything is allocated for it.
 */
import { afterAll, describe, expect, test } from "bun:test"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { ConfigError } from "../../../src/base/errors.ts"
import { loadTokenizerFromDirectory } from "../../../src/text/load-tokenizer.ts"
import { byteLevelJson, tinyTokenizer } from "./tiny.ts"

const root = mkdtempSync(join(tmpdir(), "tokenizer-"))
afterAll(() => rmSync(root, { recursive: true }))
let count = 0

function directory(files: Record<string, unknown>): string {
  const dir = join(root, String(count++))
  Bun.spawnSync(["mkdir", dir])
  for (const [name, content] of Object.entries(files)) {
    writeFileSync(join(dir, name), typeof content === "string" ? content : JSON.stringify(content))
  }
  return dir
}

const load = (json: unknown, more: Record<string, unknown> = {}) =>
  loadTokenizerFromDirectory(directory({ "tokenizer.json": json, ...more }))
const good = byteLevelJson({ merges: [["a", "b"]], added: [{ content: "<s>" }, { content: "</s>" }] })
const withModel = (changes: Record<string, unknown>) => ({
  ...good,
  model: { ...(good["model"] as object), ...changes },
})

describe("refused", () => {
  const rows: [string, unknown, RegExp][] = [
    ["not JSON", "{", /tokenizer\.json is not valid JSON/],
    ["a list", [], /must be an object, found a list/],
    ["no model", {}, /model must be an object, found nothing/],
    ["no vocabulary", withModel({ vocab: undefined }), /model\.vocab must be an object, found nothing/],
    ["an empty vocabulary", withModel({ vocab: {} }), /model\.vocab is empty/],
    ["an id that is text", withModel({ vocab: { a: "1" } }), /the id of "a" is "1"/],
    ["an id beyond the limit", withModel({ vocab: { a: 4_000_000_000 } }), /the id of "a" is 4000000000, which is not a whole number in \[0, /],
    ["a negative id", withModel({ vocab: { a: -1 } }), /the id of "a" is -1/],
    ["an added token beyond the limit", { ...good, added_tokens: [{ id: 1e12, content: "x" }] }, /the id of "x" is 1000000000000/],
    ["an added token without content", { ...good, added_tokens: [{ id: 1 }] }, /added_tokens\[0\]\.content must be a non-empty string/],
    ["merges of the wrong type", withModel({ merges: 3 }), /model\.merges must be a list/],
    ["a merge of three", withModel({ merges: [["a", "b", "c"]] }), /model\.merges\[0\] must be a pair/],
    ["a merge outside the vocabulary", withModel({ merges: ["q zz"] }), /merge "q zz" is not of two pieces/],
    ["an unknown model", withModel({ type: "Magic" }), /model\.type is "Magic"/],
    ["an unknown normalizer", { ...good, normalizer: { type: "Magic" } }, /normalizer cannot be used/],
    ["an unknown decoder", { ...good, decoder: { type: "Magic" } }, /decoder cannot be used/],
    ["an unknown post-processor", { ...good, post_processor: { type: "Magic" } }, /post_processor\.type "Magic"/],
    ["a post-processor with an unknown id", { ...good, post_processor: { type: "BertProcessing", cls: ["x", 9999], sep: ["y", 0] } }, /adds token 9999/],
    ["a template without text", { ...good, post_processor: { type: "TemplateProcessing", single: [], special_tokens: {} } }, /exactly once/],
    ["a Unigram entry without score", { ...good, model: { type: "Unigram", vocab: [["a"]] } }, /model\.vocab\[0\] must be \[piece, score\]/],
  ]
  for (const [name, json, message] of rows) {
    test(name, async () => {
      const error: unknown = await load(json).catch((reason: unknown) => reason)
      expect(error).toBeInstanceOf(ConfigError)
      expect((error as Error).message).toMatch(message)
    })
  }

  test("a directory without tokenizer.json", () =>
    expect(loadTokenizerFromDirectory(directory({}))).rejects.toThrow(/has no tokenizer\.json/))
})

describe("special tokens by name", () => {
  test("tokenizer_config.json, plain or as an object", async () => {
    const tokenizer = await load(good, {
      "tokenizer_config.json": { bos_token: "<s>", eos_token: { content: "</s>" }, boi_token: "<img>" },
    })
    expect(tokenizer.specialTokens).toEqual({ bos_token: "<s>", eos_token: "</s>", boi_token: "<img>" })
    expect([tokenizer.bosTokenId, tokenizer.eosTokenId, tokenizer.padTokenId]).toEqual([257, 258, null])
  })

  test("special_tokens_map.json and generation_config.json where it is silent", async () => {
    const tokenizer = await load(good, {
      "special_tokens_map.json": { bos_token: "<s>" },
      "generation_config.json": { eos_token_id: [258, 257] },
    })
    expect(tokenizer.specialTokens).toEqual({ bos_token: "<s>", eos_token: "</s>" })
  })

  test("a named piece of the vocabulary is special", async () => {
    const tokenizer = await load(good, { "tokenizer_config.json": { eos_token: "ab" } })
    expect(tokenizer.encode("xaby")).toEqual([120, 256, 121])
    expect(tokenizer.decode([120, 256, 121], { skipSpecialTokens: true })).toBe("xy")
  })

  test("added_tokens_decoder adds what tokenizer.json lacks", async () => {
    const config = { added_tokens_decoder: { "300": { content: "<new>", special: true } } }
    const tokenizer = await load(good, { "tokenizer_config.json": config })
    expect(tokenizer.encode("<new>")).toEqual([300])
    expect(tokenizer.vocabSize).toBe(301)
    expect(tokenizer.tokenString(299)).toBeNull()
  })

  test("added_tokens_decoder may have ids that are none, and none that would take memory", async () => {
    const config = (id: string) => ({ added_tokens_decoder: { [id]: { content: "<new>", special: true } } })
    const tokenizer = await load(good, { "tokenizer_config.json": config("-1") })
    expect([tokenizer.vocabSize, tokenizer.tokenId("<new>")]).toEqual([259, null])
    for (const id of ["2000000000", "1.5", "x"]) {
      const failure: unknown = await load(good, { "tokenizer_config.json": config(id) }).catch((error: unknown) => error)
      expect(failure).toBeInstanceOf(ConfigError)
      expect((failure as Error).message).toContain('tokenizer_config.json: the id of "<new>" is')
    }
  })
})

test("text that once stopped tiktoken: a million spaces, a piece of a megabyte", async () => {
  const tokenizer = await tinyTokenizer({ merges: [["a", "a"], [" ", " "]] })
  expect(tokenizer.encode(" ".repeat(1_000_000)).length).toBe(500_000)
  expect(tokenizer.encode("a".repeat(1_000_001)).length).toBe(500_001)
  expect(tokenizer.encode("\ud83d").length).toBe(3) // half a surrogate pair is U+FFFD
})

test("bytes without a token are left out, as in the reference", async () => {
  const json = byteLevelJson({ merges: [["a", "b"]] })
  const vocab = (json["model"] as { vocab: Record<string, number> }).vocab
  delete vocab["Ã"] // 0xC3, the first byte of é
  const tokenizer = await load(json)
  expect(tokenizer.kind).toBe("tiktoken")
  expect(tokenizer.encode("aéb")).toEqual([97, 0xa9, 98])
})
