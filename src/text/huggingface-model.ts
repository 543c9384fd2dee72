/**
 * Every model that tiktoken cannot express, through @huggingface/tokenizers: SentencePiece-like BPE with byte fallback,
 * Unigram, WordPiece. We use the model alone; the steps around it are ours.
 */
import { Tokenizer as LibraryTokenizer } from "@huggingface/tokenizers"
import { ConfigError } from "../base/errors.ts"
import type { PreTokenize } from "./pre-tokenizer.ts"
import { textToPiece } from "./byte-level.ts"
import type { TextModel } from "./text-model.ts"
import { describe, type TokenizerJson } from "./tokenizer-json.ts"

const MAX_CACHED_PIECES = 32_768
const MAX_CACHED_LENGTH = 64

export class HuggingFaceModel implements TextModel {
  readonly kind = "huggingface"
  readonly #encode: (piece: string) => number[]
  readonly #isByteLevel: boolean
  readonly #cache = new Map<string, readonly number[]>()

  /** Throws `ConfigError` when the library cannot run the model. */
  constructor(json: TokenizerJson, options: { isByteLevel: boolean }) {
    this.#isByteLevel = options.isByteLevel
    const model = createLibraryModel(json)
    const unknown = model.unk_token_id
    this.#encode = (piece) => {
      const ids: number[] = []
      for (const token of model([piece])) {
        const id = model.tokens_to_ids.get(token) ?? unknown
        if (id !== undefined) ids.push(id)
      }
      return ids
    }
  }

  warmUp(): Promise<void> {
    return Promise.resolve()
  }

  encodePiece(piece: string, out: number[]): void {
    const cached = this.#cache.get(piece)
    const ids = cached ?? this.#encode(this.#isByteLevel ? textToPiece(piece) : piece)
    if (cached === undefined && piece.length <= MAX_CACHED_LENGTH) {
      if (this.#cache.size >= MAX_CACHED_PIECES) this.#cache.clear()
      this.#cache.set(piece, ids)
    }
    for (const id of ids) out.push(id)
  }
}

function createLibraryModel(json: TokenizerJson) {
  if (json.modelType === "WordLevel")
    throw new ConfigError(`tokenizer: model.type ${describe(json.modelType)} is not supported`)
  const steps = { normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null, added_tokens: [] }
  let library: LibraryTokenizer
  try {
    const vocab = json.model["vocab"] ?? vocabObject(json)
    library = new LibraryTokenizer(
      { ...steps, model: { ...json.model, type: json.modelType, vocab, merges: usableMerges(json) } },
      {},
    )
  } catch (error) {
    throw new ConfigError(`tokenizer: model ${json.modelType} cannot be used: ${(error as Error).message}`)
  }
  if (library.model === null) throw new ConfigError(`tokenizer: model ${json.modelType} cannot be used`)
  return library.model
}

/** The library would apply the others too, and give the unknown token for what they make. */
function usableMerges({ vocab, merges, skipsUnknownMerges }: TokenizerJson): TokenizerJson["merges"] {
  if (skipsUnknownMerges !== true) return merges
  return merges.filter((merge) => {
    const parts = typeof merge === "string" ? merge.split(" ") : merge
    return [...parts, parts.join("")].every((piece) => vocab.has(piece))
  })
}

/** For models that did not come from a tokenizer.json. */
function vocabObject(json: TokenizerJson): Record<string, number> {
  const vocab: Record<string, number> = Object.create(null) as Record<string, number>
  json.vocab.forEach((piece, id) => (vocab[piece] = id))
  return vocab
}

/**
 * Cuts before "▁" where no token of the vocabulary crosses the cut, for models that would otherwise take a whole prompt
 * as one piece. BPE merges only what ends up inside a token, so the ids stay the same, and pieces repeat and can be
 * remembered. Null where the vocabulary has too many exceptions.
 */
export function splitAtSpaces(json: TokenizerJson): PreTokenize | null {
  if (json.modelType !== "BPE" || !json.vocab.has("▁")) return null
  const crossing = new Set<string>()
  json.vocab.forEach((piece) => {
    if (piece.indexOf("▁", 1) < 0) return
    for (const match of piece.matchAll(/([^▁])▁/gu)) crossing.add(match[1]!)
  })
  if (crossing.size > 64) return null
  const except = [...crossing].map((char) => `\\u{${char.codePointAt(0)!.toString(16)}}`).join("")
  const cut = new RegExp(`(?<=[^▁${except}])(?=▁)`, "u")
  return (text) => text.split(cut)
}
