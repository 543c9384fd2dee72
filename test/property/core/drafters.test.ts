import { expect, test } from "bun:test"
import fc from "fast-check"
import { NgramDrafter } from "../../../src/core/draft/ngram-drafter.ts"
import { SuffixTree, Text } from "../../../src/core/draft/suffix-tree.ts"

const tokenIds = fc.array(fc.nat(3), { maxLength: 60 })

/** The n-gram drafter's rule, told by looking everywhere. */
function lookUp(tokens: readonly number[], min: number, max: number, maxTokens: number, isLatest: boolean): number[] {
  const holds = (end: number, size: number) =>
    end >= size && tokens.slice(end - size, end).join() === tokens.slice(-size).join()
  for (let size = Math.min(max, tokens.length); size >= min; size--) {
    const ends = tokens.map((_, end) => end).filter((end) => end > 0 && holds(end, size))
    const end = isLatest ? ends.at(-1) : ends[0]
    if (end !== undefined) return tokens.slice(end, end + maxTokens)
  }
  return []
}

test("an n-gram draft is what a search through all tokens finds, however the request grows", () => {
  const input = fc.record({
    tokens: tokenIds, min: fc.integer({ min: 1, max: 3 }), more: fc.nat(2), maxTokens: fc.nat(5),
    stride: fc.integer({ min: 1, max: 7 }), isLatest: fc.boolean(),
  })
  fc.assert(
    fc.property(input, ({ tokens, min, more, maxTokens, stride, isLatest }) => {
      const match = isLatest ? "latest" : "earliest"
      const drafter = new NgramDrafter({ minSize: min, maxSize: min + more, match })
      for (let end = 0; end <= tokens.length; end += stride) {
        const seen = tokens.slice(0, end)
        const request = { requestId: "r", tokenIds: seen, numPromptTokens: 0, tenant: null }
        const expected = maxTokens === 0 ? [] : lookUp(seen, min, min + more, maxTokens, isLatest)
        expect(drafter.propose(request, maxTokens)).toEqual(expected)
      }
    }),
    { numRuns: 500 },
  )
})

/** No product of the fractions that come up here, so that rounding decides nothing. */
const LEAST = 0.4001

type Texts = readonly (readonly number[])[]

/** How often `run` occurs in the texts, and how often each token follows it. */
function count(texts: Texts, run: readonly number[]): { total: number; next: Map<number, number> } {
  const next = new Map<number, number>()
  let total = 0
  for (const text of texts) {
    for (let start = 0; start + run.length <= text.length; start++) {
      if (!run.every((tokenId, i) => text[start + i] === tokenId)) continue
      total += 1
      const follower = text[start + run.length]
      if (follower !== undefined) next.set(follower, (next.get(follower) ?? 0) + 1)
    }
  }
  return { total, next }
}

/** Holds the tree against the texts: whether `run` occurred, and that each token after it was the likeliest. */
function checkRun(tree: SuffixTree, texts: Texts, run: readonly number[], depth: number): void {
  const place = tree.find(run, 0)
  expect(place !== null).toBe(count(texts, run).total > 0)
  if (place === null) return
  const { tokens, score } = tree.continuation(place, 3, LEAST)
  let [probability, expected] = [1, 0]
  const path = [...run]
  for (const tokenId of tokens) {
    const { next } = count(texts, path)
    const total = [...next.values()].reduce((sum, n) => sum + n, 0)
    expect(next.get(tokenId)).toBe(Math.max(...next.values()))
    probability *= (next.get(tokenId) as number) / total
    expect(probability).toBeGreaterThanOrEqual(LEAST)
    expected += probability
    path.push(tokenId)
  }
  expect(score).toBeCloseTo(expected, 10)
  const { next } = count(texts, path)
  const total = [...next.values()].reduce((sum, n) => sum + n, 0)
  const mayGoOn = tokens.length < 3 && path.length < depth && total > 0
  if (mayGoOn) expect((probability * Math.max(...next.values())) / total).toBeLessThan(LEAST)
}

test("a suffix tree counts as a search through all texts does, as texts grow and go", () => {
  const change = fc.record({ text: fc.nat(2), tokens: fc.array(fc.nat(2), { maxLength: 8 }), goes: fc.nat(5) })
  const steps = fc.array(change, { maxLength: 20 })
  fc.assert(
    fc.property(steps, fc.integer({ min: 2, max: 6 }), fc.array(fc.nat(2), { minLength: 1, maxLength: 6 }),
      (changes, depth, pattern) => {
        const tree = new SuffixTree(depth)
        const texts = [new Text(), new Text(), new Text()]
        for (const { text, tokens, goes } of changes) {
          for (const tokenId of tokens) tree.append(texts[text] as Text, tokenId)
          const contents = () => texts.map(({ tokens: all }) => all)
          for (let size = 1; size <= Math.min(pattern.length, depth); size++) {
            checkRun(tree, contents(), pattern.slice(0, size), depth)
          }
          if (goes > 0) continue
          tree.remove(texts[text] as Text)
          texts[text] = new Text()
        }
        for (const text of texts) tree.remove(text)
        expect([tree.numNodes, tree.root.count, tree.root.numContinued]).toEqual([0, 0, 0])
      }),
    { numRuns: 400 },
  )
})
