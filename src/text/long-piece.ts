/**
 * Byte pair merging of one long piece in O(n log n): tiktoken's own loop is quadratic in the length of a piece, and a
 * prompt may hold a megabyte without a space.
 */
import type { MergeTable } from "./merge-table.ts"

/** Ranks of `bytes` after all merges, lowest rank first, leftmost first among equals. */
export function mergeLongPiece(bytes: Uint8Array, merges: MergeTable): number[] {
  const n = bytes.length
  const rank = Int32Array.from(bytes)
  const next = Int32Array.from(bytes, (_, i) => i + 1)
  const previous = Int32Array.from(bytes, (_, i) => i - 1)
  const heap = new KeyHeap(n)
  // A key orders by rank, then by position; positions are below 2^31 and ranks below 2^21, so it is exact.
  const offer = (at: number): void => {
    const after = next[at]!
    if (after >= n) return
    const merged = merges.get(rank[at]!, rank[after]!)
    if (merged >= 0) heap.push(merged * 2 ** 31 + at)
  }
  for (let i = 0; i + 1 < n; i++) offer(i)
  while (heap.size > 0) {
    const key = heap.pop()
    const merged = Math.floor(key / 2 ** 31)
    const at = key % 2 ** 31
    const after = next[at]!
    // A key is stale when either of its tokens has been merged since.
    if (rank[at] === -1 || after >= n || merges.get(rank[at]!, rank[after]!) !== merged) continue
    rank[at] = merged
    rank[after] = -1
    next[at] = next[after]!
    if (next[at]! < n) previous[next[at]!] = at
    if (previous[at]! >= 0) offer(previous[at]!)
    offer(at)
  }
  return Array.from(rank.filter((value) => value !== -1))
}

/** A binary min-heap of numbers. */
class KeyHeap {
  #keys: Float64Array
  size = 0

  constructor(capacity: number) {
    this.#keys = new Float64Array(Math.max(16, capacity))
  }

  push(key: number): void {
    if (this.size === this.#keys.length) {
      const grown = new Float64Array(this.size * 2)
      grown.set(this.#keys)
      this.#keys = grown
    }
    const keys = this.#keys
    let i = this.size++
    while (i > 0) {
      const parent = (i - 1) >> 1
      if (keys[parent]! <= key) break
      keys[i] = keys[parent]!
      i = parent
    }
    keys[i] = key
  }

  pop(): number {
    const keys = this.#keys
    const top = keys[0]!
    const last = keys[--this.size]!
    let i = 0
    for (;;) {
      let child = 2 * i + 1
      if (child >= this.size) break
      if (child + 1 < this.size && keys[child + 1]! < keys[child]!) child++
      if (keys[child]! >= last) break
      keys[i] = keys[child]!
      i = child
    }
    keys[i] = last
    return top
  }
}
