/**
 * How long blocks keep what they hold, for a sample of them: from when they are handed out to when they are handed out
 * again, since they were last hit, and between hits.
 *
 * The sample is every so-manieth block that is handed out, so that a run repeats.
 */
import type { BlockObserver } from "./block-observer.ts"

export interface BlockEviction {
  /** Seconds, as all here. */
  readonly lifetime: number
  readonly idle: number
  /** Between the last few hits, oldest first. */
  readonly reuseGaps: readonly number[]
}

interface Residence {
  readonly start: number
  /** Times of the last few hits. */
  hits: number[]
}

const MAX_HITS = 4

export class BlockResidency implements BlockObserver {
  readonly #share: number
  readonly #clock: () => number
  readonly #watched = new Map<number, Residence>()
  #evictions: BlockEviction[] = []
  /** Reaches 1 with the next block to watch. */
  #due = 0

  /** `share` of the blocks, in (0, 1]. */
  constructor(share: number, clock: () => number) {
    this.#share = share
    this.#clock = clock
  }

  /** A block is handed out: what it held is gone. */
  allocated(blockId: number): void {
    this.#end(blockId)
    this.#due += this.#share
    if (this.#due < 1) return
    this.#due -= 1
    this.#watched.set(blockId, { start: this.#clock(), hits: [] })
  }

  /** A block was found by its name. */
  hit(blockId: number): void {
    const residence = this.#watched.get(blockId)
    if (residence === undefined) return
    residence.hits.push(this.#clock())
    if (residence.hits.length > MAX_HITS) residence.hits.shift()
  }

  /** Everything is forgotten, which says nothing about how long it would have stayed. */
  cleared(): void {
    this.#watched.clear()
  }

  stored(): void {}

  /** A block counts until it is handed out again. */
  removed(): void {}

  /** Since the last call. */
  takeEvictions(): readonly BlockEviction[] {
    const evictions = this.#evictions
    if (evictions.length > 0) this.#evictions = []
    return evictions
  }

  #end(blockId: number): void {
    const residence = this.#watched.get(blockId)
    if (residence === undefined) return
    this.#watched.delete(blockId)
    const { start, hits } = residence
    const now = this.#clock()
    this.#evictions.push({
      lifetime: now - start,
      idle: now - (hits.at(-1) ?? start),
      reuseGaps: hits.slice(1).map((time, i) => time - hits[i]!),
    })
  }
}
