/** The model step of a tokenizer: from pre-tokens to token ids. */
export interface TextModel {
  readonly kind: "tiktoken" | "huggingface"
  /** Appends the ids of `piece` to `out`. */
  encodePiece(piece: string, out: number[]): void
  /** Starts at once what is otherwise put off until it is worth it; the ids stay the same. */
  warmUp(): Promise<void>
}
