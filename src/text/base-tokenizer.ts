/**
 * A tokenizer put together from its steps: added tokens, normalizer, pre-tokenizer, model, post-processor, decoder.
 *
 * Encoding goes as in the reference: added tokens that are not normalized are found in the text as written; the
 * stretches between are normalized one by one; normalized added tokens are found in those; what remains is
 * pre-tokenized and encoded by the model.
 */
import type { AddedTokenSplitter, Segment } from "./added-tokens.ts"
import type { SpecialFrame } from "./post-processor.ts"
import type { PreTokenize } from "./pre-tokenizer.ts"
import type { TextModel } from "./text-model.ts"
import type { TokenDecoder } from "./token-decoder.ts"
import type { DecodeOptions, DecodeStream, DecodeStreamOptions, EncodeOptions, Tokenizer } from "./tokenizer.ts"

/** Ids <-> pieces, added tokens included. */
export interface Vocabulary {
  readonly size: number
  readonly pieceOf: readonly (string | undefined)[]
  readonly idOf: (piece: string) => number | null
  readonly specialIds: ReadonlySet<number>
  readonly addedIds: ReadonlySet<number>
}

export interface TokenizerParts {
  readonly vocabulary: Vocabulary
  readonly addedTokens: AddedTokenSplitter
  readonly normalizedAddedTokens: AddedTokenSplitter
  readonly normalize: (text: string) => string
  readonly preTokenize: PreTokenize
  readonly model: TextModel
  readonly frame: SpecialFrame
  readonly decoder: TokenDecoder
  readonly specialTokens: Readonly<Record<string, string>>
}

export class BaseTokenizer implements Tokenizer {
  readonly kind: string
  readonly vocabSize: number
  readonly specialTokens: Readonly<Record<string, string>>
  readonly bosTokenId: number | null
  readonly eosTokenId: number | null
  readonly padTokenId: number | null
  readonly #parts: TokenizerParts

  constructor(parts: TokenizerParts) {
    this.#parts = parts
    this.kind = parts.model.kind
    this.vocabSize = parts.vocabulary.size
    this.specialTokens = parts.specialTokens
    this.bosTokenId = this.#namedToken("bos_token")
    this.eosTokenId = this.#namedToken("eos_token")
    this.padTokenId = this.#namedToken("pad_token")
  }

  warmUp(): Promise<void> {
    return this.#parts.model.warmUp()
  }

  #namedToken(name: string): number | null {
    const content = this.specialTokens[name]
    return content === undefined ? null : this.tokenId(content)
  }

  encode(text: string, options: EncodeOptions = {}): number[] {
    const { addedTokens, frame } = this.#parts
    const framed = options.addSpecialTokens !== false
    const ids: number[] = framed ? [...frame.before] : []
    for (const segment of addedTokens.split(text)) this.#encodeSegment(segment, ids)
    if (framed) ids.push(...frame.after)
    return ids
  }

  #encodeSegment(segment: Segment, out: number[]): void {
    if (typeof segment === "number") {
      out.push(segment)
      return
    }
    const { normalizedAddedTokens, normalize, preTokenize, model } = this.#parts
    for (const part of normalizedAddedTokens.split(normalize(segment.text))) {
      if (typeof part === "number") out.push(part)
      else for (const piece of preTokenize(part.text, segment.start + part.start === 0)) model.encodePiece(piece, out)
    }
  }

  decode(ids: readonly number[], options: DecodeOptions = {}): string {
    const stream = this.decodeStream(options)
    let text = ""
    for (const id of ids) text += stream.push(id)
    return text + stream.flush()
  }

  tokenString(id: number): string | null {
    return this.#parts.vocabulary.pieceOf[id] ?? null
  }

  tokenBytes(id: number): Uint8Array | null {
    const { decoder, vocabulary } = this.#parts
    return vocabulary.pieceOf[id] === undefined ? null : (decoder.bytesOf?.(id) ?? null)
  }

  tokenId(piece: string): number | null {
    return this.#parts.vocabulary.idOf(piece)
  }

  isSpecial(id: number): boolean {
    return this.#parts.vocabulary.specialIds.has(id)
  }

  decodeStream(options: DecodeStreamOptions = {}): DecodeStream {
    const { decoder, vocabulary } = this.#parts
    const skips = options.skipSpecialTokens === true
    const kept = options.keptTokenIds ?? []
    const isText = (id: number): boolean =>
      vocabulary.pieceOf[id] !== undefined && !(skips && vocabulary.specialIds.has(id) && !kept.includes(id))
    const context = lastMatching(options.promptIds ?? [], isText, CONTEXT_TOKENS)
    const stream = decoder.stream(context)
    const push = (id: number): string => (isText(id) ? stream.push(id) : "")
    if (skips || options.spacesBetweenSpecialTokens !== false) return { push, flush: () => stream.flush() }
    return withoutSpacesBetween(vocabulary, push, () => stream.flush())
  }
}

/** Enough for every decoder's look back; a stream must not cost time in proportion to its prompt. */
const CONTEXT_TOKENS = 8

function lastMatching(ids: readonly number[], keeps: (id: number) => boolean, count: number): number[] {
  const kept: number[] = []
  for (let i = ids.length - 1; i >= 0 && kept.length < count; i--) if (keeps(ids[i]!)) kept.push(ids[i]!)
  return kept.reverse()
}

/** An added token right after an added token is written as it is, without the space its decoder puts before it. */
function withoutSpacesBetween(vocabulary: Vocabulary, push: (id: number) => string, flush: () => string): DecodeStream {
  let afterAdded = false
  return {
    push(id) {
      const text = push(id)
      const isAdded = vocabulary.addedIds.has(id)
      const raw = isAdded && afterAdded ? (vocabulary.pieceOf[id] ?? "") : null
      afterAdded = isAdded
      return raw !== null && text === " " + raw ? raw : text
    },
    flush,
  }
}
