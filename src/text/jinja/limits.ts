/**
 * Limits on what a template may take: it comes with a model or with a request, and must not hold up the server.
 *
 * All is counted before it is done. An expression, a statement or a turn of a loop is a step; long texts and lists are
 * as many steps as they take time. New texts and lists also count as memory, over the whole of a render, as nobody
 * knows which of them the template keeps. The clock is for what the steps misjudge.
 */
import { TemplateLimit } from "./errors.ts"

/** Takes about a second. A chat of 10,000 messages takes a million, or 200,000 where the template is simple. */
const MAX_STEPS = 10_000_000
/** Generous, so that a busy machine does not fail a template. Looked at every 256 steps. */
const MAX_MILLISECONDS = 4000
/** UTF-16 units that are made in all; an entry of a list counts as 4. */
const MAX_MADE = 256 * 1024 * 1024
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
  #made = 0
  #depth = 0

  step(count = 1): void {
    const before = this.#steps
    this.#steps += count
    if (this.#steps > MAX_STEPS) throw new TemplateLimit(`the template takes more than ${MAX_STEPS} steps`)
    if (before >> 8 === this.#steps >> 8 || performance.now() < this.#deadline) return
    throw new TemplateLimit(`the template takes more than ${MAX_MILLISECONDS} ms`)
  }

  /** UTF-16 units of the longest string that may be made. */
  get maxText(): number {
    return MAX_TEXT
  }

  /** Reading `length` UTF-16 units. */
  scan(length: number): void {
    if (length >= 32) this.step(length >>> 5)
  }

  /** A new string of `length` UTF-16 units, before it is made. */
  text(length: number): void {
    if (length > MAX_TEXT) throw new TemplateLimit(`the template makes more than ${MAX_TEXT} characters`)
    this.scan(length)
    this.#make(length)
  }

  /** A string that is now `length` UTF-16 units long, `added` of them new. */
  textGrown(length: number, added: number): void {
    if (length > MAX_TEXT) this.text(length)
    this.scan(added)
    this.#make(added)
  }

  /** A new list of `count` entries, before it is made. */
  entries(count: number): void {
    if (count > MAX_ENTRIES) throw new TemplateLimit(`the template makes a list of more than ${MAX_ENTRIES} entries`)
    this.step(1 + (count >>> 3))
    this.#make(4 * count)
  }

  /** A list that now has `count` entries. Call it for every one: it counts them in batches. */
  entryAdded(count: number): void {
    if ((count & 63) !== 0) return
    if (count > MAX_ENTRIES) this.entries(count)
    this.entries(64)
  }

  #make(units: number): void {
    this.#made += units
    if (this.#made > MAX_MADE) throw new TemplateLimit(`the template makes more than ${MAX_MADE} characters in all`)
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
    throw new TemplateLimit(`the template makes a number of more than ${MAX_DIGITS} digits`)
  }

  /** Goes one level deeper; the caller also calls `leave`. */
  enter(): void {
    this.step()
    if (++this.#depth > MAX_DEPTH) throw new TemplateLimit(`the template nests deeper than ${MAX_DEPTH} levels`)
  }

  leave(): void {
    this.#depth--
  }
}
