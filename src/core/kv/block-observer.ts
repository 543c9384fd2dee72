import type { TokenSequence } from "../token-list.ts"
import type { BlockHash } from "./block-hash.ts"

/** A full block that got its name: it holds the KV of `tokenIds[start, end)`, after the block named `parentHash`. */
export interface StoredBlock {
  readonly blockId: number
  readonly groupId: number
  readonly hash: BlockHash
  /** Null for the first block of a prefix. */
  readonly parentHash: BlockHash | null
  /** A live view of the request's tokens: copy what is kept. */
  readonly tokenIds: TokenSequence
  readonly start: number
  readonly end: number
}

/** Hears what becomes of the KV cache's blocks, in order. Called in the middle of changes: it must not call back. */
export interface BlockObserver {
  /** Handed out: `removed` was called before if it held anything. */
  allocated(blockId: number): void
  /** Can be found by its name from now on. */
  stored(block: StoredBlock): void
  /** Can no longer be found by its name; requests may still hold it. */
  removed(blockId: number, groupId: number, hash: BlockHash): void
  /** Found by its name, by a request that is admitted with it. */
  hit(blockId: number): void
  /** Every name is forgotten; `removed` is not called for them. */
  cleared(): void
}
