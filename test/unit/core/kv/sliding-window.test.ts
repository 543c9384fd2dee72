import { describe, expect, test } from "bun:test"
import type { BlockHash } from "../../../../src/core/kv/block-hash.ts"
import { KVBlock } from "../../../../src/core/kv/block.ts"
import { policyOf } from "../../../../src/core/kv/policy-of.ts"
import { range, specOf } from "../harness.ts"

/** Which of the prefix's blocks are cached: block i has id 10 + i. Returns the hit's entries. */
function hit(blockSize: number, window: number | null, cached: string): number[] {
  const hashes = range(cached.length).map((i) => `${i}` as BlockHash)
  const lookup = (hash: BlockHash) => (cached[Number(hash)] === "T" ? new KVBlock(10 + Number(hash)) : null)
  return policyOf(specOf(blockSize, window)).findLongestHit(hashes, { maxBlocks: cached.length, alignment: 1 }, lookup)
}

describe("longest hit of a sliding window of 4, blocks of 2", () => {
  for (const [cached, numBlocks] of [
    ["TTFTFFTTFTTT", 12],
    ["TTFTFFTTFFFF", 8],
    ["TTFTFFTTFTFF", 8],
    ["TTFTFFTFFTFF", 2],
    ["FTFTFFTFFTFF", 0],
    ["TFFTFFTFFTFF", 1],
    ["T", 1],
    ["F", 0],
    ["", 0],
  ] as const) {
    test(`${cached || "nothing"} -> ${numBlocks} blocks`, () => {
      const ids = hit(2, 4, cached)
      expect(ids).toHaveLength(numBlocks)
      const read = Math.max(0, numBlocks - 2)
      expect(ids).toEqual(range(numBlocks).map((i) => (i < read ? 0 : 10 + i)))
    })
  }

  test("no more blocks than asked for", () => {
    const lookup = (hash: BlockHash) => new KVBlock(10 + Number(hash))
    const hashes = range(6).map((i) => `${i}` as BlockHash)
    const limits = { maxBlocks: 4, alignment: 1 }
    expect(policyOf(specOf(2, 4)).findLongestHit(hashes, limits, lookup)).toEqual([0, 0, 12, 13])
    expect(policyOf(specOf(2, null)).findLongestHit(hashes, limits, lookup)).toEqual([10, 11, 12, 13])
  })
})

test("full attention hits the run from the start", () => {
  expect(hit(2, null, "TTFT")).toEqual([10, 11])
  expect(hit(2, null, "FTTT")).toEqual([])
})

test("what a window skips", () => {
  const { numSkippedTokens } = policyOf(specOf(2, 4))
  expect([0, 3, 4, 5, 10].map(numSkippedTokens)).toEqual([0, 0, 1, 2, 7])
  expect(policyOf(specOf(2, null)).numSkippedTokens(100)).toBe(0)
})
