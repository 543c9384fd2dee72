import { assert, present } from "../../base/assert.ts"
import { KVBlock } from "./block.ts"

/**
 * The free blocks in eviction order: taken from the head, so what is put at the tail survives longest.
 *
 * A doubly linked list through the blocks themselves: a prefix hit takes a block out of the middle in constant time,
 * and no operation allocates. Two sentinels, never handed out, save every operation its empty-list case.
 *
 * Invariants: a block is linked (both links set) iff it is in the queue; `size` counts them.
 */
export class FreeQueue {
  readonly #head = new KVBlock(-1)
  readonly #tail = new KVBlock(-2)
  #size = 0

  constructor(blocks: readonly KVBlock[]) {
    this.#head.nextFree = this.#tail
    this.#tail.prevFree = this.#head
    this.appendAll(blocks)
  }

  get size(): number {
    return this.#size
  }

  /** Takes the block that has waited longest. An empty queue is the caller's bug. */
  popFirst(): KVBlock {
    const first = present(this.#head.nextFree, "head link")
    assert(first !== this.#tail, "no free block to take")
    this.remove(first)
    return first
  }

  popFirstN(count: number): KVBlock[] {
    assert(count <= this.#size, () => `want ${count} free blocks, have ${this.#size}`)
    const blocks: KVBlock[] = []
    for (let i = 0; i < count; i++) blocks.push(this.popFirst())
    return blocks
  }

  remove(block: KVBlock): void {
    const { prevFree, nextFree } = block
    assert(prevFree !== null && nextFree !== null, () => `block ${block.id} is not in the free queue`)
    prevFree.nextFree = nextFree
    nextFree.prevFree = prevFree
    block.prevFree = block.nextFree = null
    this.#size -= 1
  }

  append(block: KVBlock): void {
    this.#insertBefore(this.#tail, block)
  }

  /** Puts the blocks at the tail, in the given order. */
  appendAll(blocks: readonly KVBlock[]): void {
    for (const block of blocks) this.#insertBefore(this.#tail, block)
  }

  /** Puts the blocks at the head: the first of them is the next to be taken. */
  prependAll(blocks: readonly KVBlock[]): void {
    const first = present(this.#head.nextFree, "head link")
    for (const block of blocks) this.#insertBefore(first, block)
  }

  /** The first blocks in eviction order, without taking them: fewer where fewer are free. */
  firstN(count: number): KVBlock[] {
    const blocks: KVBlock[] = []
    for (let b = this.#head.nextFree; b !== null && b !== this.#tail && blocks.length < count; b = b.nextFree)
      blocks.push(b)
    return blocks
  }

  /** In eviction order. For tests and checks: it walks the whole list. */
  toArray(): KVBlock[] {
    return this.firstN(this.#size)
  }

  #insertBefore(next: KVBlock, block: KVBlock): void {
    assert(block.prevFree === null && block.nextFree === null, () => `block ${block.id} is already in the free queue`)
    const prev = present(next.prevFree, "link before")
    prev.nextFree = block
    block.prevFree = prev
    block.nextFree = next
    next.prevFree = block
    this.#size += 1
  }
}
