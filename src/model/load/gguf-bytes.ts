import { ConfigError } from "../../base/errors.ts"

// A number that a JavaScript integer holds exactly has at most 21 bits in its upper half.
const SAFE_HIGH = 2 ** 21

/** The bytes end before what is read does. */
export class TruncatedError extends ConfigError {}

/** Reads little-endian fields in order, never past the end. Errors: `ConfigError` that begins with `path`. */
export class ByteReader {
  readonly path: string
  readonly #bytes: Uint8Array
  readonly #view: DataView
  readonly #buffer: Buffer
  offset = 0

  constructor(bytes: Uint8Array, path: string) {
    this.path = path
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  get remaining(): number {
    return this.#bytes.length - this.offset
  }

  /** A copy of the bytes in `[start, offset)`. */
  copyFrom(start: number): Uint8Array {
    return this.#bytes.slice(start, this.offset)
  }

  skip(count: number, what: string): void {
    this.#take(count, what)
  }

  u8(what: string): number {
    return this.#view.getUint8(this.#take(1, what))
  }

  i8(what: string): number {
    return this.#view.getInt8(this.#take(1, what))
  }

  u16(what: string): number {
    return this.#view.getUint16(this.#take(2, what), true)
  }

  i16(what: string): number {
    return this.#view.getInt16(this.#take(2, what), true)
  }

  u32(what: string): number {
    return this.#view.getUint32(this.#take(4, what), true)
  }

  i32(what: string): number {
    return this.#view.getInt32(this.#take(4, what), true)
  }

  f32(what: string): number {
    return this.#view.getFloat32(this.#take(4, what), true)
  }

  f64(what: string): number {
    return this.#view.getFloat64(this.#take(8, what), true)
  }

  /** A number where it is exact, a bigint where not. */
  u64(what: string): number | bigint {
    const at = this.#take(8, what)
    const value = this.#view.getBigUint64(at, true)
    return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value
  }

  i64(what: string): number | bigint {
    const value = this.#view.getBigInt64(this.#take(8, what), true)
    const number = Number(value)
    return Number.isSafeInteger(number) ? number : value
  }

  /** A u64 that counts or places something, at most `limit`. */
  count(what: string, limit: number): number {
    const at = this.#take(8, what)
    const high = this.#view.getUint32(at + 4, true)
    const value = high * 2 ** 32 + this.#view.getUint32(at, true)
    if (high >= SAFE_HIGH || value > limit) {
      const exact = this.#view.getBigUint64(at, true)
      throw new ConfigError(`${this.path}: ${what} is ${exact}; the limit is ${limit}`)
    }
    return value
  }

  string(what: string, maxBytes: number): string {
    const length = this.count(what, maxBytes)
    const at = this.#take(length, what)
    return this.#buffer.toString("utf8", at, at + length)
  }

  /** Passes `count` strings, checking each; allocates nothing for each of them, as vocabularies have 100,000s. */
  skipStrings(count: number, what: string, maxBytes: number): void {
    const view = this.#view
    const last = view.byteLength - 8
    let at = this.offset
    for (let i = 0; i < count; i++) {
      const length = at <= last ? view.getUint32(at, true) : 0
      if (at > last || view.getUint32(at + 4, true) !== 0 || length > maxBytes || length > last - at) {
        // Wrong: reading it the long way says how.
        this.offset = at
        this.skip(this.count(`a string length in ${what}`, maxBytes), what)
      }
      at += 8 + length
    }
    this.offset = at
  }

  /** `count` strings that `skipStrings` has passed. One decoding of all is several times faster than one of each. */
  strings(count: number, what: string, maxBytes: number): string[] {
    const [bytes, view, start] = [this.#bytes, this.#view, this.offset]
    const joined = new Uint8Array(this.remaining)
    let at = start
    let end = 0
    for (let i = 0; i < count; i++) {
      const stop = at + 8 + view.getUint32(at, true)
      for (at += 8; at < stop; at++) joined[end++] = bytes[at]!
      joined[end++] = 0
    }
    this.offset = at
    const pieces = Buffer.from(joined.buffer, 0, Math.max(0, end - 1)).toString("utf8").split("\0")
    if (pieces.length === count) return pieces
    // Some string holds the separator itself, or there is none.
    this.offset = start
    return Array.from({ length: count }, () => this.string(what, maxBytes))
  }

  #take(count: number, what: string): number {
    const at = this.offset
    if (count > this.remaining)
      throw new TruncatedError(
        `${this.path} is truncated: ${what} needs ${count} bytes at byte ${at}, and ${this.remaining} are left`,
      )
    this.offset = at + count
    return at
  }
}
