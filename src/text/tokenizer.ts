/**
 * What the rest of the program knows of a tokenizer. Loaders: `loadTokenizerFromDirectory`, `loadTokenizerFromGguf`.
 */
export interface EncodeOptions {
  /** Adds what the tokenizer's post-processor adds (BOS, EOS, [CLS] ...); true when absent, as in Hugging Face. */
  addSpecialTokens?: boolean
}

export interface DecodeOptions {
  /** Leaves special tokens out of the text; false when absent. */
  skipSpecialTokens?: boolean
  /** Special tokens that are not left out with the others. */
  keptTokenIds?: readonly number[]
}

export interface DecodeStreamOptions extends DecodeOptions {
  /**
   * False writes an added token that follows an added token without the space some decoders put there. Default
   * true.
   */
  spacesBetweenSpecialTokens?: boolean
  /** Tokens before the stream's first: a leading space may depend on them. */
  promptIds?: readonly number[]
}

export interface Tokenizer {
  /** What does the work: "tiktoken" or "huggingface". */
  readonly kind: string
  /** Highest token id + 1, added tokens included. */
  readonly vocabSize: number
  /** Special tokens that are written out in `text` are recognised, as Hugging Face does. */
  encode(text: string, options?: EncodeOptions): number[]
  /** Ids outside the vocabulary give no text. */
  decode(ids: readonly number[], options?: DecodeOptions): string
  /** Raw vocabulary piece ("Ġworld"), or null for an unknown id. */
  tokenString(id: number): string | null
  /** The bytes that a token adds to the text; null for an unknown id, and where they depend on its neighbours. */
  tokenBytes(id: number): Uint8Array | null
  /** The id of a raw piece or of an added token's text, or null. */
  tokenId(piece: string): number | null
  isSpecial(id: number): boolean
  readonly bosTokenId: number | null
  readonly eosTokenId: number | null
  readonly padTokenId: number | null
  /** `bos_token`, `eos_token` ... as text, under the names chat templates use. */
  readonly specialTokens: Readonly<Record<string, string>>
  /** Starts at once what is otherwise put off until it is worth it; results stay the same. */
  warmUp(): Promise<void>
  /** A stateful decoder for streaming. */
  decodeStream(options?: DecodeStreamOptions): DecodeStream
}

/**
 * Decodes token by token. The pieces returned join to what `decode` gives for all the tokens at once, and never hold
 * half a character.
 */
export interface DecodeStream {
  /** The text that has become certain with this token; often "" inside a multi-byte character. */
  push(id: number): string
  /** The text that was still uncertain: incomplete bytes come out as U+FFFD. */
  flush(): string
}
