/**
 * Starts `source`, and gives it back once the engine has had its chance to refuse the request: its errors come from
 * here, while nothing has been sent and the answer can still be a plain error. Later ones come where it is read.
 *
 * Errors: what `source` throws at once, before it waits for anything that takes time.
 */
export async function admitted<T>(source: AsyncGenerator<T, void, void>): Promise<AsyncGenerator<T, void, void>> {
  const first = source.next()
  // An error is seen where the promise is awaited; until then nobody must take it for an unhandled one.
  first.catch(() => {})
  await Promise.race([first, new Promise((resolve) => setImmediate(resolve))])
  return new Admitted(first, source)
}

/** `source`, whose first value has been asked for. Written out: see flat-map.ts. */
class Admitted<T> implements AsyncGenerator<T, void, void> {
  #first: Promise<IteratorResult<T, void>> | null
  readonly #source: AsyncGenerator<T, void, void>

  constructor(first: Promise<IteratorResult<T, void>>, source: AsyncGenerator<T, void, void>) {
    this.#first = first
    this.#source = source
  }

  next(): Promise<IteratorResult<T, void>> {
    const pending = this.#first ?? this.#source.next()
    this.#first = null
    return pending
  }

  return(): Promise<IteratorResult<T, void>> {
    this.#first = null
    return this.#source.return()
  }

  throw(error: unknown): Promise<IteratorResult<T, void>> {
    this.#first = null
    return this.#source.throw(error)
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return()
  }
}
