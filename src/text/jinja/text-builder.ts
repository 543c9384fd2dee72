/** A text that is put together from many pieces, within the limits. */
import type { Limits } from "./limits.ts"

/** Pieces are joined in batches, as a list of them takes more memory than the text. */
const BATCH = 1024

export class TextBuilder {
  readonly #limits: Limits
  readonly #pieces: string[] = []
  #text = ""
  #length = 0

  constructor(limits: Limits) {
    this.#limits = limits
  }

  add(text: string): void {
    this.#length += text.length
    this.#limits.textGrown(this.#length, text.length)
    if (this.#pieces.push(text) === BATCH) this.#join()
  }

  #join(): void {
    this.#text += this.#pieces.join("")
    this.#pieces.length = 0
  }

  toString(): string {
    this.#join()
    return this.#text
  }
}
