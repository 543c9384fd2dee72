/**
 * BPE merges as numbers: which token two adjacent tokens become, and how early.
 *
 * Keys are (left, right) token ranks, below 2^24 each, in open addressing over typed arrays: a vocabulary of 128,000
 * tokens costs 6 MB, and a lookup no allocation.
 */
import { assert } from "../base/assert.ts"

const EMPTY = -1

export class MergeTable {
  readonly #mask: number
  readonly #left: Int32Array
  readonly #right: Int32Array
  readonly #merged: Int32Array
  readonly #capacity: number
  #size = 0

  /** Room for `capacity` pairs. */
  constructor(capacity: number) {
    let slots = 16
    while (slots < capacity * 2) slots *= 2
    this.#capacity = capacity
    this.#mask = slots - 1
    this.#left = new Int32Array(slots).fill(EMPTY)
    this.#right = new Int32Array(slots)
    this.#merged = new Int32Array(slots)
  }

  #slot(left: number, right: number): number {
    let slot = (Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b)) & this.#mask
    while (this.#left[slot] !== EMPTY && (this.#left[slot] !== left || this.#right[slot] !== right)) {
      slot = (slot + 1) & this.#mask
    }
    return slot
  }

  /** The token that (left, right) becomes, or -1. */
  get(left: number, right: number): number {
    const slot = this.#slot(left, right)
    return this.#left[slot] === EMPTY ? -1 : this.#merged[slot]!
  }

  set(left: number, right: number, merged: number): void {
    const slot = this.#slot(left, right)
    if (this.#left[slot] === EMPTY) {
      assert(this.#size < this.#capacity, () => `merge table of ${this.#capacity} pairs is full`)
      this.#size++
    }
    this.#left[slot] = left
    this.#right[slot] = right
    this.#merged[slot] = merged
  }
}
