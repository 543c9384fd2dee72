/**
 * Limits on what a template may take: it comes with a model or with a request, and must not hold up the server.
 *
 * Everything is counted in steps before it is done: an expression or a statement is one step, text and entries are
 * converted to steps by their number. As work and new memory both cost steps, the number of steps bounds time and
 * memory together (about 250 MB where every step makes text). The clock is only for what the count misjudges.
 */
import { TemplateError } from "./errors.ts"

/** A chat of 10,000 messages takes about 500,000. */
const MAX_STEPS = 4_000_000
/** Looked at every 256 steps. */
const MAX_MILLISECONDS = 1000
/** Expressions and statements within each other, macros that call themselves included. */
const MAX_DEPTH = 1500
/** UTF-16 units of one string. */
const MAX_TEXT = 32 * 1024 * 1024
/** Entries of one list. */
const MAX_ENTRIES = 1_000_000
/** Of an integer: Python converts no more to text. */
export const MAX_DIGITS = 4300
const MAX_INTEGER = 10n ** BigInt(MAX_DIGITS)
const MAX_INTEGER_BITS = 15_000n

export class Limits {
  readonly #deadline = performance.now() + MAX_MILLISECONDS
  #steps = 0
  #depth = 0

  step(count = 1): void {
    const before = this.#steps
    this.#steps += count
    if (this.#steps > MAX_STEPS) throw new TemplateError(`the template takes more than ${MAX_STEPS} steps`)
    if (before >> 8 === this.#steps >> 8 || performance.now() < this.#deadline) return
    throw new TemplateError(`the template takes more than ${MAX_MILLISECONDS} ms`)
  }

  /** UTF-16 units of the longest string that may be made. */
  get maxText(): number {
    return MAX_TEXT
  }

  /** Reading or writing `length` UTF-16 units. */
  scan(length: number): void {
    if (length >= 32) this.step(length >>> 5)
  }

  /** A new string of `length` UTF-16 units, checked before it is made. */
  text(length: number): void {
    if (length > MAX_TEXT) throw new TemplateError(`the template makes more than ${MAX_TEXT} characters`)
    this.scan(length)
  }

  /** A new list of `count` entries, checked before it is made. */
  entries(count: number): void {
    if (count > MAX_ENTRIES) throw new TemplateError(`the template makes a list of more than ${MAX_ENTRIES} entries`)
    this.step(1 + (count >>> 3))
  }

  /** A result of arithmetic. */
  integer(value: bigint): bigint {
    if (value > MAX_INTEGER || value < -MAX_INTEGER) this.#refuseInteger()
    return value
  }

  /** An integer of about `bits` bits, checked before it is computed. */
  integerBits(bits: bigint): void {
    if (bits > MAX_INTEGER_BITS) this.#refuseInteger()
  }

  #refuseInteger(): never {
    throw new TemplateError(`the template makes a number of more than ${MAX_DIGITS} digits`)
  }

  /** Goes one level deeper; whoever calls it also calls `leave`. */
  enter(): void {
    this.step()
    if (++this.#depth > MAX_DEPTH) throw new TemplateError(`the template nests deeper than ${MAX_DEPTH} levels`)
  }

  leave(): void {
    this.#depth--
  }
}
