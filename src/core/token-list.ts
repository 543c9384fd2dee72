/** Token ids that are read in place; an array is one. */
export interface TokenSequence extends Iterable<number> {
  readonly length: number
  at(index: number): number | undefined
  slice(start?: number, end?: number): number[]
}

/** A prompt and the tokens after it. The prompt is not copied: the choices of one request share theirs. */
export class TokenList implements TokenSequence {
  readonly #prompt: readonly number[]
  readonly #outputs: number[] = []

  constructor(prompt: readonly number[]) {
    this.#prompt = prompt
  }

  get length(): number {
    return this.#prompt.length + this.#outputs.length
  }

  /** `index` counts from the start. */
  at(index: number): number | undefined {
    const numPrompt = this.#prompt.length
    return index < numPrompt ? this.#prompt[index] : this.#outputs[index - numPrompt]
  }

  /** The tokens [start, end), counted from the start. */
  slice(start = 0, end = this.length): number[] {
    const numPrompt = this.#prompt.length
    const tokens = this.#prompt.slice(start, end)
    if (end <= numPrompt) return tokens
    return tokens.concat(this.#outputs.slice(Math.max(0, start - numPrompt), end - numPrompt))
  }

  push(tokenId: number): void {
    this.#outputs.push(tokenId)
  }

  *[Symbol.iterator](): Iterator<number> {
    yield* this.#prompt
    yield* this.#outputs
  }
}
