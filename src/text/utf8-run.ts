/**
 * Bytes to text, one byte at a time. Every byte that is no part of a valid character becomes a U+FFFD of its own, as in
 * the reference's byte fallback (Unicode's usual advice would give one for several).
 *
 * The reference gives up the valid characters of a run too when any byte of it is invalid. We keep them: they have been
 * sent by then. "\n" is such a character in many vocabularies, and must not wait for the end of its run.
 */
export class Utf8Run {
  #pending: number[] = []

  /** The text that has become certain with this byte. */
  push(byte: number): string {
    this.#pending.push(byte)
    let text = ""
    while (this.#pending.length > 0) {
      const length = sequenceLength(this.#pending)
      if (length > this.#pending.length) break
      text +=
        length === 0 ? "\ufffd" : new TextDecoder("utf-8", { ignoreBOM: true }).decode(Uint8Array.from(this.#pending))
      if (length === 0) this.#pending.shift()
      else this.#pending = []
    }
    return text
  }

  /** Ends the run. */
  flush(): string {
    const text = "\ufffd".repeat(this.#pending.length)
    this.#pending = []
    return text
  }
}

/** Bytes in the character that `bytes` begins, or 0 when no valid character begins so. */
function sequenceLength(bytes: readonly number[]): number {
  const [first, second, ...rest] = bytes
  if (first === undefined || first < 0x80) return 1
  const length =
    first >= 0xc2 && first <= 0xdf ? 2 : first >= 0xe0 && first <= 0xef ? 3 : first >= 0xf0 && first <= 0xf4 ? 4 : 0
  if (length === 0 || second === undefined) return length
  // The second byte excludes overlong forms, surrogates and what lies past U+10FFFF.
  const low = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80
  const high = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf
  const isValid = second >= low && second <= high && rest.every((byte) => byte >= 0x80 && byte <= 0xbf)
  return isValid ? length : 0
}
