/**
 * Drafts from what usually followed: in the request's own tokens, and in past outputs of its tenant.
 *
 * The request's last tokens, one to `maxDepth` of them, are looked for in both; of all continuations the one is taken
 * of which the most tokens may be expected to be right. A longer match may be followed by a longer draft.
 * Past outputs are kept apart by tenant, so that nobody's text shows in another's timing, and forgotten in the order in
 * which they came when there are too many, those of the tenant that was idle longest first.
 * Source: vLLM V1's suffix decoding (arXiv:2411.04975).
 */
import { assert } from "../../base/assert.ts"
import type { Drafter, DraftRequest } from "./drafter.ts"
import { type Place, SuffixTree, Text } from "./suffix-tree.ts"

export interface SuffixConfig {
  /** Tokens of a match and its draft together, at most. */
  readonly maxDepth: number
  /** Tokens of a draft for each matched token, at most. */
  readonly maxSpecFactor: number
  /** A draft ends before the probability of all of it falls below this, in [0, 1]. */
  readonly minTokenProb: number
  /** Past outputs of all tenants; 0 keeps none. */
  readonly maxCachedRequests: number
  /** Nodes of the trees over past outputs, which take about 150 bytes each. */
  readonly maxCachedNodes: number
  /** Of a request that is seen for the first time, the last so many tokens are looked at. */
  readonly maxRequestTokens: number
}

export const SUFFIX_DEFAULTS: SuffixConfig = {
  maxDepth: 24, maxSpecFactor: 1, minTokenProb: 0.1, maxCachedRequests: 10_000, maxCachedNodes: 500_000,
  maxRequestTokens: 16_384,
}

interface LiveRequest {
  readonly tree: SuffixTree
  readonly text: Text
  /** Tokens of the request that are in the tree, or were left out of it. */
  numSeen: number
}

interface Tenant {
  readonly tree: SuffixTree
  /** Oldest first. */
  readonly texts: Text[]
}

interface Draft {
  readonly tokens: number[]
  readonly score: number
}

const NO_DRAFT: Draft = { tokens: [], score: 0 }

export class SuffixDrafter implements Drafter {
  readonly #config: SuffixConfig
  readonly #live = new Map<string, LiveRequest>()
  /** Longest idle first. */
  readonly #tenants = new Map<string, Tenant>()
  #numCachedRequests = 0
  #numCachedNodes = 0

  constructor(config: Partial<SuffixConfig> = {}) {
    this.#config = { ...SUFFIX_DEFAULTS, ...config }
  }

  /** Past outputs that are kept, and the nodes that they take. */
  get cached(): { readonly numRequests: number; readonly numNodes: number; readonly numTenants: number } {
    return { numRequests: this.#numCachedRequests, numNodes: this.#numCachedNodes, numTenants: this.#tenants.size }
  }

  propose(request: DraftRequest, maxTokens: number): number[] {
    const live = this.#follow(request)
    if (maxTokens <= 0) return []
    const past = request.tenant === null ? undefined : this.#tenants.get(request.tenant)
    const { maxDepth } = this.#config
    let best = this.#bestOf(live.tree, (numMatched) => ownMatch(live.text, numMatched, maxDepth), maxTokens)
    if (past !== undefined) {
      const { tokenIds } = request
      const find = (numMatched: number) =>
        numMatched > tokenIds.length ? null : past.tree.find(tokenIds, tokenIds.length - numMatched)
      const other = this.#bestOf(past.tree, find, maxTokens)
      if (other.score > best.score) best = other
    }
    return best.tokens
  }

  finish(request: DraftRequest): void {
    this.#live.delete(request.requestId)
    const { tenant, tokenIds, numPromptTokens } = request
    if (tenant === null || this.#config.maxCachedRequests === 0 || tokenIds.length === numPromptTokens) return
    const past = this.#tenants.get(tenant) ?? { tree: new SuffixTree(this.#config.maxDepth), texts: [] }
    this.#tenants.delete(tenant)
    this.#tenants.set(tenant, past)
    const text = new Text()
    const before = past.tree.numNodes
    for (const tokenId of tokenIds.slice(numPromptTokens)) past.tree.append(text, tokenId)
    past.texts.push(text)
    this.#numCachedNodes += past.tree.numNodes - before
    this.#numCachedRequests += 1
    this.#evict()
  }

  /** The best continuation over all matches, of which none is longer than one that is not there. */
  #bestOf(tree: SuffixTree, match: (numMatched: number) => Place | null, maxTokens: number): Draft {
    const { maxDepth, maxSpecFactor, minTokenProb } = this.#config
    let best = NO_DRAFT
    for (let numMatched = 1; numMatched < maxDepth; numMatched++) {
      const place = match(numMatched)
      if (place === null) break
      const limit = Math.min(maxTokens, Math.floor(maxSpecFactor * numMatched))
      const draft = tree.continuation(place, limit, minTokenProb)
      if (draft.score >= best.score) best = draft
    }
    return best
  }

  /** Takes in the request's new tokens. */
  #follow({ requestId, tokenIds }: DraftRequest): LiveRequest {
    let live = this.#live.get(requestId)
    if (live === undefined) {
      const numSeen = Math.max(0, tokenIds.length - this.#config.maxRequestTokens)
      live = { tree: new SuffixTree(this.#config.maxDepth), text: new Text(), numSeen }
      this.#live.set(requestId, live)
    }
    const { numSeen, tree, text } = live
    assert(numSeen <= tokenIds.length, () => `${requestId}: ${tokenIds.length} tokens, of which ${numSeen} were seen`)
    for (const tokenId of tokenIds.slice(numSeen)) tree.append(text, tokenId)
    live.numSeen = tokenIds.length
    return live
  }

  #evict(): void {
    const { maxCachedRequests, maxCachedNodes } = this.#config
    for (const [name, { tree, texts }] of this.#tenants) {
      while (this.#numCachedRequests > maxCachedRequests || this.#numCachedNodes > maxCachedNodes) {
        const text = texts.shift()
        if (text === undefined) break
        const before = tree.numNodes
        tree.remove(text)
        this.#numCachedNodes -= before - tree.numNodes
        this.#numCachedRequests -= 1
      }
      if (texts.length > 0) return
      this.#tenants.delete(name)
    }
  }
}

/** Where else the text's last tokens occurred in it, or null. */
function ownMatch(text: Text, numMatched: number, maxDepth: number): Place | null {
  const start = text.tokens.length - numMatched
  if (start < 0) return null
  const node = text.cursors[start % maxDepth] ?? null
  const isAlone = node === null || (node.tail?.text === text && node.tail.start === start)
  return isAlone ? null : { node, depth: numMatched }
}
