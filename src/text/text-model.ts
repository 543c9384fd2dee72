/** The model step of a tokenizer: from pre-tokens to token ids. */
export interface TextModel {
  readonly kind: "tiktoken" | "huggingface"
  /** Appends the ids of `piece` to `out`. */
  encodePiece(piece: string, out: number[]): void
}
