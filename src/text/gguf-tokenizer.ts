/**
 * Tokenizers inside GGUF files: the kinds "gpt2" (byte-level BPE with a merge list) and "llama" (SentencePiece BPE with
 * scores), rewritten as the tokenizer.json they came from.
 */
import { ConfigError } from "../base/errors.ts"
import { buildTokenizer } from "./build-tokenizer.ts"
import { isUsualEnd } from "./gguf-end-tokens.ts"
import { ggufPreTokenizer } from "./gguf-pre-tokenizers.ts"
import { PieceTable } from "./piece-table.ts"
import type { Tokenizer } from "./tokenizer.ts"
import { describe, type AddedTokenConfig, type StepConfig, type TokenizerJson } from "./tokenizer-json.ts"

type Warn = (line: string) => void

/** `tokenizer.ggml.token_type`. */
const NORMAL = 1
const UNKNOWN = 2
const CONTROL = 3
const USER_DEFINED = 4

const NO_TOKEN = 0xffff_ffff

/**
 * `warn` is called with lines about what makes the model worse than it could be. Errors: `ConfigError` on an unknown
 * `tokenizer.ggml.model` or `tokenizer.ggml.pre`, and on missing or malformed fields.
 */
export async function loadTokenizerFromGguf(
  metadata: ReadonlyMap<string, unknown>, warn: Warn = () => {},
): Promise<Tokenizer> {
  const fields = new GgufFields(metadata)
  const kind = fields.text("model", null)
  if (kind !== "gpt2" && kind !== "llama") {
    throw new ConfigError(`GGUF: tokenizer.ggml.model ${describe(kind)} is not supported; supported are gpt2, llama`)
  }
  const tokens = fields.texts("tokens")
  if (tokens.length === 0) throw new ConfigError("GGUF: tokenizer.ggml.tokens is empty")
  const vocab = new PieceTable(tokens.length)
  tokens.forEach((piece, id) => vocab.add(piece, id))
  const base = { vocab, addedTokens: addedTokens(fields, tokens) }
  const specialTokens: Record<string, string> = {}
  for (const [name, key] of SPECIAL_KEYS) {
    const isNeeded = name === "bos_token" || name === "eos_token"
    const id = isNeeded ? fields.tokenId(key, tokens.length) : fields.tokenIdIfThere(key, tokens.length, warn)
    if (id !== null) specialTokens[name] = tokens[id]!
  }
  const json = kind === "gpt2" ? byteLevelJson(fields, base, warn) : sentencePieceJson(fields, base, tokens)
  return buildTokenizer(json, specialTokens)
}

const SPECIAL_KEYS = [
  ["bos_token", "bos_token_id"],
  ["eos_token", "eos_token_id"],
  ["unk_token", "unknown_token_id"],
  ["pad_token", "padding_token_id"],
  ["sep_token", "seperator_token_id"], // spelt so in the format
] as const

// Files from before the key was introduced: the model sees texts cut in another way than in its training.
const MISSING_PRE = [
  'tokenizer.ggml.pre is missing: the GGUF file does not say how text is split, and "default" is used',
  "************************************",
  "GENERATION QUALITY WILL BE DEGRADED!",
  "CONSIDER CONVERTING THE MODEL AGAIN.",
  "************************************",
]

type Base = Pick<TokenizerJson, "vocab" | "addedTokens">

function byteLevelJson(fields: GgufFields, base: Base, warn: Warn): TokenizerJson {
  if (!fields.has("pre")) MISSING_PRE.forEach(warn)
  const pre = ggufPreTokenizer(fields.text("pre", "default"))
  return {
    ...base,
    modelType: "BPE",
    model: { type: "BPE", ignore_merges: pre.ignoreMerges },
    merges: fields.texts("merges"),
    // Files without merges of their own carry one of nothing, because llama.cpp wants the list.
    skipsUnknownMerges: true,
    normalizer: pre.normalizer,
    preTokenizer: pre.preTokenizer,
    postProcessor: bosEosFrame(fields, { bos: pre.addBos, eos: false }),
    decoder: { type: "ByteLevel" },
  }
}

function sentencePieceJson(fields: GgufFields, base: Base, tokens: readonly string[]): TokenizerJson {
  const merges = mergesOfScores(fields, base.vocab, tokens)
  const unknown = fields.tokenIdIfThere("unknown_token_id", tokens.length, () => {}) ?? 0
  const prefix = fields.flag("add_space_prefix", true)
  const steps: StepConfig[] = [{ type: "Replace", pattern: { String: " " }, content: "▁" }]
  if (prefix) steps.unshift({ type: "Prepend", prepend: "▁" })
  const decoders: StepConfig[] = [
    { type: "Replace", pattern: { String: "▁" }, content: " " },
    { type: "ByteFallback" },
    { type: "Fuse" },
  ]
  if (prefix) decoders.push({ type: "Strip", content: " ", start: 1, stop: 0 })
  return {
    ...base,
    modelType: "BPE",
    model: { type: "BPE", unk_token: tokens[unknown], fuse_unk: true, byte_fallback: true },
    merges,
    normalizer: { type: "Sequence", normalizers: steps },
    preTokenizer: null,
    postProcessor: bosEosFrame(fields, { bos: true, eos: false }),
    decoder: { type: "Sequence", decoders },
  }
}

/**
 * SentencePiece merges the neighbours whose joint piece has the highest score; as a list that is every split of every
 * piece into two pieces, best score first.
 */
function mergesOfScores(fields: GgufFields, vocab: PieceTable, tokens: readonly string[]): [string, string][] {
  const scores = fields.numbers("scores", tokens.length)
  const byScore = tokens.map((_, id) => id).sort((a, b) => scores[b]! - scores[a]! || a - b)
  const merges: [string, string][] = []
  for (const id of byScore) {
    const piece = tokens[id]!
    for (let cut = 1; cut < piece.length; cut++) {
      if (isHighSurrogate(piece.charCodeAt(cut - 1))) continue
      if (vocab.getPart(piece, 0, cut) >= 0 && vocab.getPart(piece, cut, piece.length) >= 0) {
        merges.push([piece.slice(0, cut), piece.slice(cut)])
      }
    }
  }
  return merges
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff
}

/** Tokens that are found in text before the model sees it. */
function addedTokens(fields: GgufFields, tokens: readonly string[]): AddedTokenConfig[] {
  const types = fields.has("token_type") ? fields.numbers("token_type", tokens.length) : []
  const added: AddedTokenConfig[] = []
  tokens.forEach((content, id) => {
    const type = types[id] ?? (isUsualEnd(content) ? CONTROL : NORMAL)
    if (content === "" || (type !== CONTROL && type !== USER_DEFINED && type !== UNKNOWN)) return
    added.push({
      id,
      content,
      special: type !== USER_DEFINED,
      normalized: false,
      lstrip: false,
      rstrip: false,
      singleWord: false,
    })
  })
  return added
}

function bosEosFrame(fields: GgufFields, byDefault: { bos: boolean; eos: boolean }): StepConfig | null {
  const size = fields.texts("tokens").length
  const bos = fields.flag("add_bos_token", byDefault.bos) ? fields.tokenId("bos_token_id", size) : null
  const eos = fields.flag("add_eos_token", byDefault.eos) ? fields.tokenId("eos_token_id", size) : null
  if (bos === null && eos === null) return null
  const special = (name: string, id: number | null) => (id === null ? [] : [{ SpecialToken: { id: name, type_id: 0 } }])
  return {
    type: "TemplateProcessing",
    single: [...special("bos", bos), { Sequence: { id: "A", type_id: 0 } }, ...special("eos", eos)],
    special_tokens: { bos: { ids: [bos] }, eos: { ids: [eos] } },
  }
}

/** Reads `tokenizer.ggml.*`, checked. Lists may be arrays or typed arrays, whole numbers `number` or `bigint`. */
class GgufFields {
  readonly #metadata: ReadonlyMap<string, unknown>

  constructor(metadata: ReadonlyMap<string, unknown>) {
    this.#metadata = metadata
  }

  has(key: string): boolean {
    return this.#metadata.has(`tokenizer.ggml.${key}`)
  }

  #get(key: string): unknown {
    return this.#metadata.get(`tokenizer.ggml.${key}`)
  }

  #fail(key: string, expected: string): never {
    throw new ConfigError(`GGUF: tokenizer.ggml.${key} must be ${expected}, found ${describe(this.#get(key))}`)
  }

  text(key: string, absent: string | null): string {
    const value = this.#get(key) ?? absent
    return typeof value === "string" ? value : this.#fail(key, "a string")
  }

  flag(key: string, absent: boolean): boolean {
    const value = this.#get(key) ?? absent
    return typeof value === "boolean" ? value : this.#fail(key, "true or false")
  }

  texts(key: string): readonly string[] {
    const value = this.#get(key)
    if (!Array.isArray(value) || !value.every((entry) => typeof entry === "string"))
      return this.#fail(key, "a list of strings")
    return value as string[]
  }

  numbers(key: string, length: number): ArrayLike<number> {
    const value = this.#get(key)
    const list =
      Array.isArray(value) || ArrayBuffer.isView(value)
        ? (value as unknown as ArrayLike<unknown>)
        : this.#fail(key, "a list of numbers")
    if (list.length !== length)
      throw new ConfigError(`GGUF: tokenizer.ggml.${key} has ${list.length} entries for ${length} tokens`)
    return Array.from(list, (entry) =>
      typeof entry === "number" || typeof entry === "bigint" ? Number(entry) : this.#fail(key, "a list of numbers"),
    )
  }

  /**
   * As `tokenId`, for tokens that text works without: an id out of range, such as that of a padding token which nobody
   * added to the vocabulary, is none.
   */
  tokenIdIfThere(key: string, size: number, warn: Warn): number | null {
    const value = this.#get(key)
    const id = Number(value)
    const isNumber = typeof value === "number" || typeof value === "bigint"
    if (!isNumber || (id >= 0 && id < size)) return this.tokenId(key, size)
    if (id >= 0 && id !== NO_TOKEN)
      warn(`tokenizer.ggml.${key} is ${id}, and the vocabulary has ${size} tokens: it is ignored`)
    return null
  }

  /** An id below `size`, or null when the key is absent. Files write 2^32 - 1 for "none". */
  tokenId(key: string, size: number): number | null {
    const value = this.#get(key)
    if (value === undefined || Number(value) === NO_TOKEN) return null
    const id = typeof value === "number" || typeof value === "bigint" ? Number(value) : this.#fail(key, "a token id")
    return Number.isInteger(id) && id >= 0 && id < size ? id : this.#fail(key, `a token id below ${size}`)
  }
}
