/** A model's tokens as grammars see them: bytes, in shared memory for all grammar threads. */
import { GrammarError } from "./grammar-error.ts"

export interface GrammarVocabulary {
  /** All tokens' bytes, one after the other. */
  readonly bytes: Uint8Array
  /** Where each token begins, and where the last one ends. */
  readonly offsets: Uint32Array
  /** The model's outputs: its tokens and padding. */
  readonly vocabSize: number
  readonly stopTokenIds: readonly number[]
  /** Tokens that are no text, by the text that they are known by. */
  readonly specials: readonly { readonly id: number; readonly text: string }[]
}

/** What is needed of a tokenizer. */
export interface TokenSource {
  readonly vocabSize: number
  tokenBytes(id: number): Uint8Array | null
  tokenString(id: number): string | null
  isSpecial(id: number): boolean
}

/** Errors: `GrammarError` where the text of a token depends on its neighbours, so that no grammar can be followed. */
export function readVocabulary(
  tokenizer: TokenSource, { vocabSize, stopTokenIds }: { vocabSize: number; stopTokenIds: readonly number[] },
): GrammarVocabulary {
  const count = Math.min(tokenizer.vocabSize, vocabSize)
  const tokens = Array.from({ length: count }, (_, id) => tokenizer.tokenBytes(id) ?? new Uint8Array())
  if (tokens.every(({ length }) => length === 0)) {
    throw new GrammarError("this model's tokenizer does not say what text its tokens are: no grammar can be followed")
  }
  const offsets = new Uint32Array(new SharedArrayBuffer((count + 1) * Uint32Array.BYTES_PER_ELEMENT))
  tokens.forEach((token, i) => (offsets[i + 1] = offsets[i]! + token.length))
  const bytes = new Uint8Array(new SharedArrayBuffer(offsets[count]!))
  tokens.forEach((token, i) => bytes.set(token, offsets[i]!))
  const specials = tokens.map((_, id) => id).filter((id) => tokenizer.isSpecial(id))
    .map((id) => ({ id, text: tokenizer.tokenString(id) ?? "" }))
  return { bytes, offsets, vocabSize, stopTokenIds, specials }
}

/** How many lists and objects each token opens, less those that it closes; brackets in strings count too. */
export function nestingByToken({ bytes, offsets }: GrammarVocabulary): Int16Array {
  const [opening, closing] = [new Set(Buffer.from("[{")), new Set(Buffer.from("]}"))]
  const nesting = new Int16Array(offsets.length - 1)
  for (let id = 0; id < nesting.length; id++) {
    for (const byte of bytes.subarray(offsets[id]!, offsets[id + 1]!)) {
      nesting[id]! += opening.has(byte) ? 1 : closing.has(byte) ? -1 : 0
    }
  }
  return nesting
}

/** The ids of the special tokens that are written in `marks`. */
export function specialsIn(vocabulary: GrammarVocabulary, marks: readonly string[]): number[] {
  const isIn = (text: string) => text !== "" && marks.some((mark) => mark.includes(text))
  return vocabulary.specials.filter(({ text }) => isIn(text)).map(({ id }) => id)
}

/** Tokens of a vocabulary without its special ones, but for `kept`: they have no bytes, and no grammar admits them. */
export function withoutSpecials(
  { bytes, offsets, specials }: GrammarVocabulary, kept: readonly number[],
): { bytes: Uint8Array; offsets: Uint32Array } {
  const blank = new Set(specials.map(({ id }) => id).filter((id) => !kept.includes(id)))
  const all = new Uint8Array(bytes.length)
  const starts = new Uint32Array(offsets.length)
  let end = 0
  for (let id = 0; id + 1 < offsets.length; id++) {
    starts[id] = end
    if (blank.has(id)) continue
    all.set(bytes.subarray(offsets[id]!, offsets[id + 1]!), end)
    end += offsets[id + 1]! - offsets[id]!
  }
  starts[offsets.length - 1] = end
  return { bytes: all.subarray(0, end), offsets: starts }
}
