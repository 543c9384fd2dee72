/**
 * `source` with each value replaced by any number of others.
 *
 * Written out, since every `async function*` between the engine and the socket costs several turns of the microtask
 * queue for each event, and because its `return()` waits for the pending `next()`: this one ends the source at once.
 */
export interface FlatMapSteps<T, U> {
  /** Errors: end the source, and are the pending `next()`'s. */
  each(value: T): readonly U[]
  /** What follows the source's last value. */
  last?(): readonly U[]
  /** Called once, however it ends. */
  ended?(): void
}

export class FlatMap<T, U> implements AsyncGenerator<U, void, void> {
  readonly #source: AsyncGenerator<T, void, void>
  readonly #steps: FlatMapSteps<T, U>
  /** Made and not taken yet: [#at, length). */
  #made: readonly U[] = []
  #at = 0
  #isSourceDone = false
  #hasEnded = false

  constructor(source: AsyncGenerator<T, void, void>, steps: FlatMapSteps<T, U>) {
    this.#source = source
    this.#steps = steps
  }

  /** One at a time: the caller awaits each. */
  next(): Promise<IteratorResult<U, void>> {
    if (this.#at < this.#made.length) return Promise.resolve({ done: false, value: this.#made[this.#at++]! })
    if (this.#isSourceDone || this.#hasEnded) return Promise.resolve(this.#end())
    return this.#source.next().then(this.#take, this.#fail)
  }

  async return(): Promise<IteratorResult<U, void>> {
    const end = this.#end()
    await this.#source.return()
    return end
  }

  async throw(error: unknown): Promise<IteratorResult<U, void>> {
    await this.return()
    throw error
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return()
  }

  #take = (result: IteratorResult<T, void>): IteratorResult<U, void> | Promise<IteratorResult<U, void>> => {
    if (this.#hasEnded) return { done: true, value: undefined }
    try {
      if (result.done === true) this.#isSourceDone = true
      this.#made = result.done === true ? (this.#steps.last?.() ?? []) : this.#steps.each(result.value)
    } catch (error) {
      void this.#source.return().catch(() => {})
      return this.#fail(error)
    }
    this.#at = 1
    return this.#made.length > 0 ? { done: false, value: this.#made[0]! } : this.next()
  }

  #fail = (error: unknown): never => {
    this.#end()
    throw error
  }

  #end(): { done: true; value: undefined } {
    if (!this.#hasEnded) this.#steps.ended?.()
    this.#hasEnded = true
    this.#made = []
    return { done: true, value: undefined }
  }
}
