/**
 * BPE merges as numbers: which token two adjacent tokens become, and how early.
 *
 * Keys are (left, right) token ranks, in open addressing over one typed array: a vocabulary of 128,000 tokens costs 4
 * MB, and a lookup no allocation.
 */
import { assert } from "../base/assert.ts"

const EMPTY = -1

export class MergeTable {
  readonly #mask: number
  /** Three numbers a slot: left, right, merged; the fourth is padding, so that a slot stays within a cache line. */
  readonly #slots: Int32Array
  readonly #capacity: number
  #size = 0

  /** Room for `capacity` pairs. */
  constructor(capacity: number) {
    let slots = 16
    while (slots < capacity * 2) slots *= 2
    this.#capacity = capacity
    this.#mask = slots - 1
    this.#slots = new Int32Array(4 * slots).fill(EMPTY)
  }

  #slot(left: number, right: number): number {
    const slots = this.#slots
    // The products' high bits are the well mixed ones.
    const hash = Math.imul(Math.imul(left, 0x9e3779b1) ^ right, 0x85ebca6b)
    let slot = 4 * ((hash ^ (hash >>> 15)) & this.#mask)
    while (slots[slot] !== EMPTY && (slots[slot] !== left || slots[slot + 1] !== right)) {
      slot = slot + 4 === slots.length ? 0 : slot + 4
    }
    return slot
  }

  /** The token that (left, right) becomes, or -1. */
  get(left: number, right: number): number {
    return this.#slots[this.#slot(left, right) + 2]!
  }

  set(left: number, right: number, merged: number): void {
    const slot = this.#slot(left, right)
    if (this.#slots[slot] === EMPTY) {
      assert(this.#size < this.#capacity, () => `merge table of ${this.#capacity} pairs is full`)
      this.#size++
    }
    this.#slots[slot] = left
    this.#slots[slot + 1] = right
    this.#slots[slot + 2] = merged
  }
}
