/**
 * Log-probabilities of prompt tokens that other requests may ask for again, by the name of their block.
 *
 * A block's name covers all tokens up to its end, and a token's log-probabilities follow from the tokens up to it: so
 * equal names mean equal entries, as with the KV cache. Cached KV without them saves a request nothing, since the
 * outputs that they are made of are not kept; with them it need not compute those positions again.
 *
 * Bounded in bytes; the least recently used goes first, of one prompt its end before its beginning, so that what stays
 * is a run from the start, which is what can be used. See docs/adr/0006.
 */
import { type BlockHash, extendBlockHashes } from "./kv/block-hash.ts"
import type { PromptLogprobs } from "./prompt-logprobs.ts"
import type { Request } from "./request.ts"
import type { TokenLogprobs } from "./schedule-plan.ts"

interface CachedEntries {
  readonly entries: readonly TokenLogprobs[]
  readonly numTop: number
  readonly bytes: number
}

// As JavaScript keeps them: an object and two arrays of doubles.
const BYTES_PER_ENTRY = 160
const BYTES_PER_TOP = 16

export class PromptLogprobsCache {
  readonly #blockSize: number
  readonly #maxBytes: number
  /** Least recently used first. */
  readonly #blocks = new Map<BlockHash, CachedEntries>()
  #bytes = 0

  /** `maxBytes` 0 keeps nothing. */
  constructor(options: { blockSize: number; maxBytes: number }) {
    this.#blockSize = options.blockSize
    this.#maxBytes = options.maxBytes
  }

  get numBytes(): number {
    return this.#bytes
  }

  /** Gives the request what is known of its prompt. */
  recall(request: Request): void {
    const wanted = request.promptLogprobs
    if (wanted === null || wanted.isComplete || this.#blocks.size === 0) return
    extendBlockHashes(request, this.#blockSize)
    for (let b = Math.floor(wanted.numKnown / this.#blockSize); this.#isWhole(request, b); b++) {
      const hash = request.blockHashes[b]
      const cached = hash === undefined ? undefined : this.#blocks.get(hash)
      if (cached === undefined || cached.numTop < wanted.numTop) break
      wanted.add(this.#firstToken(b), trimmed(cached, wanted.numTop))
    }
  }

  /** Takes in what a step brought for the tokens from `first` on, and keeps the blocks that are complete with it. */
  record(request: Request, first: number, entries: readonly TokenLogprobs[]): void {
    const known = request.promptLogprobs
    if (known === null) return
    known.add(first, entries)
    if (this.#maxBytes === 0) return
    for (let b = Math.floor(first / this.#blockSize); this.#end(b) <= known.numKnown; b++) {
      const hash = request.blockHashes[b]
      if (hash !== undefined) this.#put(hash, known, b)
    }
    if (known.isComplete) this.#touchAll(request.blockHashes)
    this.#evict()
  }

  clear(): void {
    this.#blocks.clear()
    this.#bytes = 0
  }

  #firstToken(block: number): number {
    return Math.max(1, block * this.#blockSize)
  }

  #end(block: number): number {
    return (block + 1) * this.#blockSize
  }

  #isWhole(request: Request, block: number): boolean {
    return this.#end(block) <= request.numPromptTokens
  }

  #put(hash: BlockHash, known: PromptLogprobs, block: number): void {
    const before = this.#blocks.get(hash)
    if (before !== undefined && before.numTop >= known.numTop) return
    const entries = known.slice({ first: this.#firstToken(block), end: this.#end(block) })
    const bytes = entries.length * (BYTES_PER_ENTRY + BYTES_PER_TOP * known.numTop)
    this.#bytes += bytes - (before?.bytes ?? 0)
    this.#blocks.set(hash, { entries, numTop: known.numTop, bytes })
  }

  /** The prompt's blocks are the last to go, the first of them last of all. */
  #touchAll(hashes: readonly BlockHash[]): void {
    for (let b = hashes.length - 1; b >= 0; b--) {
      const hash = hashes[b] as BlockHash
      const cached = this.#blocks.get(hash)
      if (cached === undefined) continue
      this.#blocks.delete(hash)
      this.#blocks.set(hash, cached)
    }
  }

  #evict(): void {
    for (const [hash, { bytes }] of this.#blocks) {
      if (this.#bytes <= this.#maxBytes) return
      this.#blocks.delete(hash)
      this.#bytes -= bytes
    }
  }
}

function trimmed({ entries, numTop }: CachedEntries, wanted: number): readonly TokenLogprobs[] {
  if (numTop === wanted) return entries
  return entries.map((entry) => ({
    ...entry, topIds: entry.topIds.slice(0, wanted), topLogprobs: entry.topLogprobs.slice(0, wanted),
  }))
}
