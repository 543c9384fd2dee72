import type { BlockHash } from "./block-hash.ts"

/** The null block: fills table cells whose tokens nobody will read again, and pads. Never allocated, never freed. */
export const NULL_BLOCK_ID = 0

/**
 * One fixed run of token slots in the KV cache, as the pool sees it.
 *
 * States:
 *   free         refCount 0, linked in the free queue; `hash` may still name what it holds (it can be hit and revived)
 *   in use       refCount = number of block tables that hold it
 *   null         id 0, outside both
 * `hash` is set once, when all the slots are full, and cleared when the block is handed out again.
 */
export class KVBlock {
  readonly id: number
  refCount = 0
  /** What a full block holds, or null. */
  hash: BlockHash | null = null
  /** The KV cache group whose layers wrote it; meaningful only with `hash`. */
  groupId = 0
  /** Links of the free queue, which alone touches them. */
  prevFree: KVBlock | null = null
  nextFree: KVBlock | null = null

  constructor(id: number) {
    this.id = id
  }

  get isNull(): boolean {
    return this.id === NULL_BLOCK_ID
  }
}
