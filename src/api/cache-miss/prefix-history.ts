/**
 * The latest prompts with what was generated behind them, as token ids: what the prefix cache has been given. The cache
 * itself knows blocks by their hashes alone, and cannot say where two prompts part.
 */
export interface PrefixHistoryLimits {
  readonly maxPrefixes: number
  /** Of all prefixes together; 4 bytes each. */
  readonly maxTokens: number
}

export interface PrefixMatch {
  readonly tokenIds: Int32Array
  /** Tokens that it has in common with the prompt, from the first on. */
  readonly numMatched: number
}

interface Prefix {
  readonly group: string
  readonly tokenIds: Int32Array
}

const DEFAULT_LIMITS: PrefixHistoryLimits = { maxPrefixes: 64, maxTokens: 2 ** 20 }

export class PrefixHistory {
  readonly #limits: PrefixHistoryLimits
  /** Oldest first. */
  #prefixes: Prefix[] = []
  #numTokens = 0

  constructor(limits = DEFAULT_LIMITS) {
    this.#limits = limits
  }

  /** Of the prefixes of `group` the one that has most in common with a prompt; null without any. */
  best(group: string, tokenIds: readonly number[]): PrefixMatch | null {
    let best: PrefixMatch | null = null
    for (const prefix of this.#prefixes) {
      if (prefix.group !== group) continue
      const numMatched = numInCommon(prefix.tokenIds, tokenIds)
      // Of equals the newest is the likeliest to be in the cache.
      if (best === null || numMatched >= best.numMatched) best = { tokenIds: prefix.tokenIds, numMatched }
    }
    return best
  }

  /** Adds a prefix in place of those that it goes on from. The oldest make room. */
  add(group: string, tokenIds: readonly number[]): void {
    const added = { group, tokenIds: Int32Array.from(tokenIds.slice(0, this.#limits.maxTokens)) }
    this.#prefixes = this.#prefixes.filter((prefix) => {
      return prefix.group !== group || numInCommon(prefix.tokenIds, tokenIds) < prefix.tokenIds.length
    })
    this.#prefixes.push(added)
    this.#numTokens = this.#prefixes.reduce((sum, prefix) => sum + prefix.tokenIds.length, 0)
    while (this.#prefixes.length > this.#limits.maxPrefixes || this.#numTokens > this.#limits.maxTokens) {
      this.#numTokens -= this.#prefixes.shift()!.tokenIds.length
    }
  }

  /** Cached prefixes have been forgotten. */
  clear(): void {
    this.#prefixes = []
    this.#numTokens = 0
  }
}

function numInCommon(prefix: Int32Array, tokenIds: readonly number[]): number {
  const most = Math.min(prefix.length, tokenIds.length)
  let i = 0
  while (i < most && prefix[i] === tokenIds[i]) i++
  return i
}
