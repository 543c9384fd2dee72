/**
 * Text for a file descriptor whose reader may stall. What is written waits in a buffer and goes out on a thread of the
 * runtime, so that neither a full pipe nor a stopped terminal ever holds up the caller; only the order is kept.
 */
import { write } from "node:fs"

export interface DescriptorWriterOptions {
  /** Bytes that may wait, those on their way included; a text that would pass them is dropped. */
  readonly maxBytes: number
  /** Hears why the descriptor cannot be written to. Without it the text is dropped, and later text is tried again. */
  readonly onError?: (error: NodeJS.ErrnoException) => void
  /** Writes some of `bytes` and tells how many, as `fs.write` does. Tests bring their own. */
  readonly writeSome?: (descriptor: number, bytes: Uint8Array) => Promise<number>
}

/** A descriptor that does not block, and is full, is tried again after so long. */
const RETRY_MS = 20

export class DescriptorWriter {
  readonly #descriptor: number
  readonly #options: DescriptorWriterOptions
  #waiting: Buffer[] = []
  #numBytes = 0
  #numDropped = 0
  #hasFailed = false
  /** Settles when nothing waits any more; null while nothing does. */
  #writing: Promise<void> | null = null

  constructor(descriptor: number, options: DescriptorWriterOptions) {
    this.#descriptor = descriptor
    this.#options = options
  }

  /** Texts that were dropped: there was no room for them, or nobody to read them. */
  get numDropped(): number {
    return this.#numDropped
  }

  /** Whether nothing waits, nor is on its way. */
  get isIdle(): boolean {
    return this.#writing === null
  }

  /** Never waits. False: `text` was dropped. */
  write(text: string): boolean {
    const bytes = Buffer.from(text)
    if (this.#hasFailed || this.#numBytes + bytes.length > this.#options.maxBytes) {
      this.#numDropped += 1
      return false
    }
    this.#numBytes += bytes.length
    this.#waiting.push(bytes)
    this.#writing ??= this.#writeAll()
    return true
  }

  /** Resolves when all that was written has gone out, at the latest after `timeoutMs`. */
  async flush(timeoutMs = Infinity): Promise<void> {
    if (this.#writing === null) return
    if (timeoutMs === Infinity) return this.#writing
    const timer = Promise.withResolvers<void>()
    const timeout = setTimeout(timer.resolve, timeoutMs)
    await Promise.race([this.#writing, timer.promise])
    clearTimeout(timeout)
  }

  async #writeAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      const texts = this.#waiting
      this.#waiting = []
      const bytes = Buffer.concat(texts)
      try {
        await this.#writeWhole(bytes)
      } catch (error) {
        this.#numDropped += texts.length
        this.#fail(error as NodeJS.ErrnoException)
      }
      this.#numBytes -= bytes.length
    }
    // At once: what is written from here on begins anew.
    this.#writing = null
  }

  async #writeWhole(bytes: Uint8Array): Promise<void> {
    const { writeSome = writeToDescriptor } = this.#options
    for (let at = 0; at < bytes.length; ) {
      try {
        at += await writeSome(this.#descriptor, bytes.subarray(at))
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error
        await Bun.sleep(RETRY_MS)
      }
    }
  }

  #fail(error: NodeJS.ErrnoException): void {
    const { onError } = this.#options
    if (onError === undefined) return
    this.#hasFailed = true
    this.#numDropped += this.#waiting.length
    this.#waiting = []
    onError(error)
  }
}

function writeToDescriptor(descriptor: number, bytes: Uint8Array): Promise<number> {
  return new Promise((resolve, reject) => {
    write(descriptor, bytes, 0, bytes.length, null, (error, count) => (error === null ? resolve(count) : reject(error)))
  })
}
