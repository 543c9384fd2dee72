/** Small tokenizers in the form of tokenizer.json, for tests. */
import { buildTokenizer } from "../../../src/text/build-tokenizer.ts"
import { byteToChar, textToPiece } from "../../../src/text/byte-level.ts"
import type { Tokenizer } from "../../../src/text/tokenizer.ts"
import { parseTokenizerJson, type TokenizerJson } from "../../../src/text/tokenizer-json.ts"

export interface TinyOptions {
  merges?: [string, string][]
  added?: {
    content: string
    special?: boolean
    lstrip?: boolean
    rstrip?: boolean
    normalized?: boolean
    single_word?: boolean
  }[]
  model?: Record<string, unknown>
  steps?: Record<string, unknown>
}

/** Byte-level BPE: the 256 bytes are ids 0 to 255, then the merges' results, then the added tokens. */
export function byteLevelJson({ merges = [], added = [], model = {}, steps = {} }: TinyOptions = {}): Record<
  string,
  unknown
> {
  const vocab: Record<string, number> = {}
  for (let byte = 0; byte < 256; byte++) vocab[byteToChar(byte)] = byte
  let next = 256
  const pieces = merges.map(([left, right]) => [textToPiece(left), textToPiece(right)] as const)
  for (const [left, right] of pieces) vocab[left + right] ??= next++
  return {
    added_tokens: added.map((token, i) => ({ special: true, normalized: false, ...token, id: next + i })),
    normalizer: null,
    pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, use_regex: true },
    post_processor: null,
    decoder: { type: "ByteLevel" },
    model: { type: "BPE", vocab, merges: pieces, ...model },
    ...steps,
  }
}

export function tinyJson(options: TinyOptions = {}): TokenizerJson {
  return parseTokenizerJson(byteLevelJson(options), "tiny")
}

export async function tinyTokenizer(options: TinyOptions = {}): Promise<Tokenizer> {
  return buildTokenizer(tinyJson(options), {})
}

/**
 * SentencePiece-like BPE with byte fallback: "<unk>", "</s>", the 256 bytes, "▁", and the given pieces of one letter.
 */
export function sentencePieceJson(letters: string, merges: [string, string][] = []): Record<string, unknown> {
  const vocab: Record<string, number> = { "<unk>": 0, "</s>": 1 }
  for (let byte = 0; byte < 256; byte++) vocab[`<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`] = 2 + byte
  let next = 258
  for (const piece of ["▁", ...letters, ...merges.map((pair) => pair.join(""))]) vocab[piece] ??= next++
  return {
    added_tokens: [{ id: 0, content: "<unk>", special: true }, { id: 1, content: "</s>", special: true }],
    normalizer: {
      type: "Sequence",
      normalizers: [{ type: "Prepend", prepend: "▁" }, { type: "Replace", pattern: { String: " " }, content: "▁" }],
    },
    pre_tokenizer: null,
    post_processor: null,
    decoder: {
      type: "Sequence",
      decoders: [
        { type: "Replace", pattern: { String: "▁" }, content: " " }, { type: "ByteFallback" }, { type: "Fuse" },
        { type: "Strip", content: " ", start: 1, stop: 0 },
      ],
    },
    model: { type: "BPE", vocab, merges, unk_token: "<unk>", fuse_unk: true, byte_fallback: true },
  }
}

export async function tinySentencePiece(letters: string, merges: [string, string][] = []): Promise<Tokenizer> {
  return buildTokenizer(parseTokenizerJson(sentencePieceJson(letters, merges), "tiny"), {})
}
