/**
 * Counts what followed what in a set of texts: a tree whose node at the end of a path of tokens knows how often that
 * run of tokens occurred, and what came after it. Paths are at most `maxDepth` tokens long.
 *
 * Every position of a text begins a suffix, which is a path from the root; a text that grows by a token lets its last
 * `maxDepth` suffixes grow. A path that only one suffix took ends in a *tail*: a node that stands for the rest of that
 * suffix by referring to its text. A second suffix that comes along turns the tail into a node with a child, so texts
 * without repetitions cost little more than a node a token.
 *
 * Invariants
 *   1. `count` of a node: suffixes that reach it. `numContinued`: those of them that go on below it.
 *   2. A node with a tail has no children, and no suffix but the tail's goes on below it. At full depth there is none.
 *   3. A node without suffixes is gone.
 * Source: the idea is SuffixDecoding's (arXiv:2411.04975).
 */
import { assert } from "../../base/assert.ts"

/** One suffix: `text.tokens[start, ...)`. */
interface Tail {
  readonly text: Text
  readonly start: number
}

export interface SuffixNode {
  count: number
  numContinued: number
  children: Map<number, SuffixNode> | null
  /** The child that most suffixes go on to, of equals the first to get there; null: none, or not known any more. */
  likeliest: { readonly tokenId: number; readonly node: SuffixNode } | null
  tail: Tail | null
}

/** A text of the tree. It grows at its end until it is removed. */
export class Text {
  readonly tokens: number[] = []
  /** By start modulo the depth: the nodes that the suffixes of the last tokens have reached. */
  readonly cursors: (SuffixNode | null)[] = []
}

/** A place in the tree: `depth` tokens down, at a node or inside the tail that hangs from it. */
export interface Place {
  readonly node: SuffixNode
  readonly depth: number
}

export class SuffixTree {
  readonly root: SuffixNode = makeNode(null)
  readonly #maxDepth: number
  #numNodes = 0

  constructor(maxDepth: number) {
    assert(maxDepth >= 2, () => `a suffix tree of depth ${maxDepth}`)
    this.#maxDepth = maxDepth
  }

  /** Nodes below the root, which bound the memory. */
  get numNodes(): number {
    return this.#numNodes
  }

  append(text: Text, tokenId: number): void {
    const position = text.tokens.length
    text.tokens.push(tokenId)
    text.cursors[position % this.#maxDepth] = this.root
    this.root.count += 1
    for (let depth = Math.min(position + 1, this.#maxDepth) - 1; depth >= 0; depth--) {
      const start = position - depth
      const node = text.cursors[start % this.#maxDepth] as SuffixNode
      // The tail is the suffix's own and grows with the text.
      if (node.tail !== null && node.tail.text === text && node.tail.start === start) continue
      text.cursors[start % this.#maxDepth] = this.#advance(node, tokenId, { text, start }, depth)
    }
  }

  /** Takes the text's suffixes out of the tree. */
  remove(text: Text): void {
    const { tokens } = text
    this.root.count -= tokens.length
    for (let start = 0; start < tokens.length; start++) {
      let node = this.root
      for (let i = start; i < Math.min(tokens.length, start + this.#maxDepth); i++) {
        node.numContinued -= 1
        const tokenId = tokens[i] as number
        const child = node.children?.get(tokenId)
        assert(child !== undefined, () => `a removed text is not in the tree at ${i}`)
        child.count -= 1
        if (node.likeliest?.node === child) node.likeliest = null
        const isOwnTail = child.tail?.text === text && child.tail.start === start
        if (isOwnTail) child.tail = null
        if (child.count === 0) {
          node.children?.delete(tokenId)
          this.#numNodes -= countNodes(child)
          break
        }
        if (isOwnTail) break
        node = child
      }
    }
    text.cursors.length = 0
  }

  /** Where the path of the tokens from `start` to the end leads, or null: nobody took it. */
  find(tokens: { readonly length: number; at(index: number): number | undefined }, start: number): Place | null {
    let node = this.root
    for (let i = start; i < tokens.length; i++) {
      const tokenId = tokens.at(i) as number
      if (node.tail !== null) return this.#findInTail(node, tokens, { start, at: i })
      const child = node.children?.get(tokenId)
      if (child === undefined) return null
      node = child
    }
    return { node, depth: tokens.length - start }
  }

  /**
   * The likeliest continuation of `place`: tokens while the probability of all of them together is at least
   * `minProbability`, at most `maxTokens`, and as deep as the tree goes. `score` is the sum of those probabilities: the
   * number of tokens that may be expected to be right.
   */
  continuation(place: Place, maxTokens: number, minProbability: number): { tokens: number[]; score: number } {
    const tokens: number[] = []
    let { node, depth } = place
    let [probability, score] = [1, 0]
    while (tokens.length < maxTokens && depth < this.#maxDepth) {
      let next: number | undefined
      if (node.tail !== null) next = node.tail.text.tokens[node.tail.start + depth]
      else {
        const likeliest = likeliestOf(node)
        if (likeliest === null) break
        next = likeliest.tokenId
        probability *= likeliest.node.count / node.numContinued
        node = likeliest.node
      }
      if (next === undefined || probability < minProbability) break
      tokens.push(next)
      score += probability
      depth += 1
    }
    return { tokens, score }
  }

  #findInTail(
    node: SuffixNode,
    tokens: { readonly length: number; at(index: number): number | undefined },
    path: { start: number; at: number },
  ): Place | null {
    const { text, start } = node.tail as Tail
    const depth = tokens.length - path.start
    if (depth > this.#maxDepth) return null
    for (let i = path.at; i < tokens.length; i++) {
      if (text.tokens[start + i - path.start] !== tokens.at(i)) return null
    }
    return { node, depth }
  }

  /** Lets a suffix go on from a node, `depth` tokens down. Returns where it is then; null: as deep as the tree goes. */
  #advance(node: SuffixNode, tokenId: number, suffix: Tail, depth: number): SuffixNode | null {
    if (node.tail !== null) this.#split(node, depth)
    node.numContinued += 1
    node.children ??= new Map()
    let child = node.children.get(tokenId)
    if (child === undefined) {
      child = makeNode(depth + 1 < this.#maxDepth ? suffix : null)
      node.children.set(tokenId, child)
      this.#numNodes += 1
    }
    child.count += 1
    const { likeliest } = node
    const isLikelier = likeliest !== null && child.count > likeliest.node.count
    if (isLikelier || node.children.size === 1) node.likeliest = { tokenId, node: child }
    return depth + 1 < this.#maxDepth ? child : null
  }

  /** Another suffix has come to a tail: the tail's own goes one node on, as far as its text does. */
  #split(node: SuffixNode, depth: number): void {
    const { text, start } = node.tail as Tail
    node.tail = null
    const tokenId = text.tokens[start + depth]
    if (tokenId === undefined) return
    const isDeepest = depth + 1 === this.#maxDepth
    const child = makeNode(isDeepest ? null : { text, start })
    child.count = 1
    node.children = new Map([[tokenId, child]])
    node.likeliest = { tokenId, node: child }
    node.numContinued = 1
    this.#numNodes += 1
    const cursor = start % this.#maxDepth
    const isGrowing = text.tokens.length - start <= this.#maxDepth
    if (isGrowing && text.cursors[cursor] === node) text.cursors[cursor] = isDeepest ? null : child
  }
}

function makeNode(tail: Tail | null): SuffixNode {
  return { count: 0, numContinued: 0, children: null, likeliest: null, tail }
}

function likeliestOf(node: SuffixNode): SuffixNode["likeliest"] {
  if (node.likeliest !== null || node.children === null) return node.likeliest
  for (const [tokenId, child] of node.children) {
    if (child.count > (node.likeliest?.node.count ?? 0)) node.likeliest = { tokenId, node: child }
  }
  return node.likeliest
}

/** The node and all below it; no deeper than the tree. */
function countNodes(node: SuffixNode): number {
  let count = 0
  const open = [node]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    count += 1
    if (next.children !== null) open.push(...next.children.values())
  }
  return count
}
