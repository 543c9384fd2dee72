/**
 * Chooses the parts of a tokenizer from its description: tiktoken where it gives the same ids, the Hugging Face library
 * otherwise.
 */
import { SequenceNormalizer } from "@huggingface/tokenizers"
import { ConfigError } from "../base/errors.ts"
import { AddedTokenSplitter } from "./added-tokens.ts"
import { BaseTokenizer, type Vocabulary } from "./base-tokenizer.ts"
import { deriveBpeRanks } from "./bpe-ranks.ts"
import { ByteLevelBpe } from "./byte-level-bpe.ts"
import { HuggingFaceModel, splitAtSpaces } from "./huggingface-model.ts"
import { createSpecialFrame } from "./post-processor.ts"
import { createPreTokenizer, type PreTokenize } from "./pre-tokenizer.ts"
import type { TextModel } from "./text-model.ts"
import { createTokenDecoder } from "./token-decoder.ts"
import type { Tokenizer } from "./tokenizer.ts"
import type { StepConfig, TokenizerJson } from "./tokenizer-json.ts"

/**
 * `specialTokens`: names to contents, as chat templates see them. Throws `ConfigError` on what cannot be run
 * exactly.
 */
export function buildTokenizer(json: TokenizerJson, specialTokens: Record<string, string>): Tokenizer {
  const vocabulary = buildVocabulary(json)
  const normalize = createNormalizer(json.normalizer)
  const { model, preTokenize } = createModel(json)
  const frame = createSpecialFrame(json.postProcessor)
  for (const id of [...frame.before, ...frame.after]) {
    if (vocabulary.pieceOf[id] === undefined)
      throw new ConfigError(`tokenizer: post_processor adds token ${id}, which is not in the vocabulary`)
  }
  const tokenizer = new BaseTokenizer({
    vocabulary,
    addedTokens: new AddedTokenSplitter(
      json.addedTokens.filter((token) => !token.normalized),
      (token) => token.content,
    ),
    normalizedAddedTokens: new AddedTokenSplitter(
      json.addedTokens.filter((token) => token.normalized),
      (token) => normalize(token.content),
    ),
    normalize,
    preTokenize,
    model,
    frame,
    decoder: createTokenDecoder(json.decoder, (id) => vocabulary.pieceOf[id] ?? ""),
    specialTokens,
  })
  tryOut(tokenizer)
  return tokenizer
}

/** Letters of several lengths in bytes, spaces of several kinds, digits and signs. */
const PROBE = " a b  é\n😀 1.5 "

/** The library takes a step's settings as they are, and fails where it first needs them. */
function tryOut(tokenizer: Tokenizer): void {
  try {
    tokenizer.decode(tokenizer.encode(PROBE))
  } catch (error) {
    if (error instanceof ConfigError) throw error
    throw new ConfigError(`tokenizer: a step cannot be used as it is described: ${(error as Error).message}`)
  }
}

function createModel(json: TokenizerJson): { model: TextModel; preTokenize: PreTokenize } {
  const { split, isByteLevel } = createPreTokenizer(json.preTokenizer)
  const ranks = isByteLevel ? deriveBpeRanks(json) : "not byte-level"
  if (typeof ranks !== "string") return { model: new ByteLevelBpe(json, ranks), preTokenize: split }
  const model = new HuggingFaceModel(json, { isByteLevel })
  const cut = isByteLevel ? null : splitAtSpaces(json)
  if (cut === null) return { model, preTokenize: split }
  return { model, preTokenize: (text, isFirst) => split(text, isFirst).flatMap((piece) => cut(piece, isFirst)) }
}

function createNormalizer(config: StepConfig | null): (text: string) => string {
  if (config === null) return (text) => text
  if (config.type === "NFC") return (text) => text.normalize("NFC")
  try {
    const steps = new SequenceNormalizer({ type: "Sequence", normalizers: [config as never] })
    return (text) => (text === "" ? "" : steps.normalize(text))
  } catch (error) {
    throw new ConfigError(`tokenizer: normalizer cannot be used: ${(error as Error).message}`)
  }
}

function buildVocabulary(json: TokenizerJson): Vocabulary {
  const pieceOf: (string | undefined)[] = []
  json.vocab.forEach((piece, id) => (pieceOf[id] ??= piece))
  for (const token of json.addedTokens) pieceOf[token.id] = token.content
  const addedIds = new Map(json.addedTokens.map((token) => [token.content, token.id]))
  return {
    size: pieceOf.length,
    pieceOf,
    idOf: (piece) => addedIds.get(piece) ?? json.vocab.get(piece) ?? null,
    specialIds: new Set(json.addedTokens.filter((token) => token.special).map((token) => token.id)),
    addedIds: new Set(addedIds.values()),
  }
}
