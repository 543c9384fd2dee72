/**
 * Drafts by looking up where the request's last few tokens stood before, and repeating what followed them there.
 *
 * The longest run of `maxSize` tokens or fewer, and at least `minSize`, that ends the request and stood before decides;
 * of its places the earliest or the latest. Each size has an index from runs to places, which every new token extends
 * by one entry: a proposal costs the same however long the request is.
 * Source: vLLM V1's n-gram proposer (earliest), and its V2 (latest).
 */
import { assert } from "../../base/assert.ts"
import type { TokenSequence } from "../token-list.ts"
import type { Drafter, DraftRequest } from "./drafter.ts"

export type NgramMatch = "earliest" | "latest"

export interface NgramConfig {
  /** Tokens of a run, at least and at most; 1 <= minSize <= maxSize. */
  readonly minSize: number
  readonly maxSize: number
  readonly match: NgramMatch
}

export class NgramDrafter implements Drafter {
  readonly #config: NgramConfig
  /** Request id -> its indices, by size from `maxSize` down. */
  readonly #indices = new Map<string, RunIndex[]>()

  constructor(config: NgramConfig) {
    const { minSize, maxSize } = config
    assert(minSize >= 1 && minSize <= maxSize, () => `runs of ${minSize} to ${maxSize} tokens`)
    this.#config = config
  }

  propose({ requestId, tokenIds }: DraftRequest, maxTokens: number): number[] {
    if (maxTokens <= 0 || tokenIds.length < this.#config.minSize) return []
    for (const index of this.#indicesOf(requestId)) {
      const next = index.find(tokenIds)
      if (next > 0) return tokenIds.slice(next, Math.min(next + maxTokens, tokenIds.length))
    }
    return []
  }

  finish({ requestId }: Pick<DraftRequest, "requestId">): void {
    this.#indices.delete(requestId)
  }

  #indicesOf(requestId: string): RunIndex[] {
    const known = this.#indices.get(requestId)
    if (known !== undefined) return known
    const { minSize, maxSize, match } = this.#config
    const indices: RunIndex[] = []
    for (let size = maxSize; size >= minSize; size--) indices.push(new RunIndex(size, match))
    this.#indices.set(requestId, indices)
    return indices
  }
}

const INITIAL_CELLS = 64

/**
 * Runs of one size -> the position after the run. A hash table with open addresses that holds positions alone and
 * compares the tokens themselves: at most 16 bytes a token, and no false hits.
 */
class RunIndex {
  readonly #size: number
  readonly #keepsLatest: boolean
  /** Positions after runs; 0 is an empty cell. Its length is a power of two, and at most half of it is used. */
  #cells = new Int32Array(INITIAL_CELLS)
  #numUsed = 0
  /** Runs that end before this position are in the table. */
  #numIndexed: number

  constructor(size: number, match: NgramMatch) {
    this.#size = size
    this.#keepsLatest = match === "latest"
    this.#numIndexed = size
  }

  /** The position after the place where the last run of `tokens` stood before, or 0. */
  find(tokens: TokenSequence): number {
    const end = tokens.length
    if (end <= this.#size) return 0
    assert(this.#numIndexed <= end, () => `${end} tokens, of which ${this.#numIndexed} were seen`)
    for (; this.#numIndexed < end; this.#numIndexed++) this.#add(tokens, this.#numIndexed)
    return this.#cells[this.#cellOf(tokens, end)] as number
  }

  #add(tokens: TokenSequence, end: number): void {
    const cell = this.#cellOf(tokens, end)
    if (this.#cells[cell] === 0) this.#numUsed += 1
    else if (!this.#keepsLatest) return
    this.#cells[cell] = end
    if (2 * this.#numUsed > this.#cells.length) this.#grow(tokens)
  }

  /** Where the run that ends at `end` is, or would go. */
  #cellOf(tokens: TokenSequence, end: number): number {
    const mask = this.#cells.length - 1
    let hash = 0
    for (let i = end - this.#size; i < end; i++) hash = Math.imul(hash ^ (tokens.at(i) as number), 0x9e3779b1)
    let cell = (hash ^ (hash >>> 15)) & mask
    for (let other = this.#cells[cell] as number; other !== 0; other = this.#cells[cell] as number) {
      if (this.#isSameRun(tokens, other, end)) break
      cell = (cell + 1) & mask
    }
    return cell
  }

  #isSameRun(tokens: TokenSequence, a: number, b: number): boolean {
    for (let i = 1; i <= this.#size; i++) if (tokens.at(a - i) !== tokens.at(b - i)) return false
    return true
  }

  #grow(tokens: TokenSequence): void {
    const before = this.#cells
    this.#cells = new Int32Array(2 * before.length)
    for (const end of before) if (end !== 0) this.#cells[this.#cellOf(tokens, end)] = end
  }
}
