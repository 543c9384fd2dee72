import { expect, test } from "bun:test"
import fc from "fast-check"
import type { BlockHash } from "../../../src/core/kv/block-hash.ts"
import { KVBlock } from "../../../src/core/kv/block.ts"
import { slidingWindowPolicy } from "../../../src/core/kv/sliding-window.ts"
import { endsInRepetition } from "../../../src/core/stop.ts"

test("a window's hit is the longest prefix whose end it can read", () => {
  const input = fc.record({
    cached: fc.array(fc.boolean(), { maxLength: 14 }),
    blockSize: fc.integer({ min: 1, max: 4 }),
    window: fc.integer({ min: 2, max: 12 }),
    maxBlocks: fc.nat(14),
    alignment: fc.integer({ min: 1, max: 3 }),
  })
  fc.assert(
    fc.property(input, ({ cached, blockSize, window, maxBlocks, alignment }) => {
      const shape = { blockSize, numKVHeads: 1, headDim: 1, headDimV: 1, dtypeBytes: 2 }
      const policy = slidingWindowPolicy({ kind: "sliding_window", window, ...shape })
      const hashes = cached.map((_, i) => `${i}` as BlockHash)
      const lookup = (hash: BlockHash) => (cached[Number(hash)] ? new KVBlock(1 + Number(hash)) : null)
      const hit = policy.findLongestHit(hashes, { maxBlocks, alignment }, lookup)

      // A prefix of n blocks will do if every block with a position that the next query reads is cached.
      const reads = (n: number, block: number) => (block + 1) * blockSize > n * blockSize - window + 1
      const willDo = (n: number) => cached.slice(0, n).every((isCached, i) => isCached || !reads(n, i))
      let longest = 0
      for (let n = 0; n <= Math.min(cached.length, maxBlocks); n += alignment) if (willDo(n)) longest = n
      const entries = Array.from({ length: longest }, (_, i) => (reads(longest, i) ? i + 1 : 0))
      expect(hit).toEqual(entries)
    }),
    { numRuns: 500 },
  )
})

test("a repetition is what comes out of repeating", () => {
  const input = fc.record({
    tokens: fc.array(fc.nat(2), { maxLength: 14 }),
    start: fc.nat(4),
    min: fc.integer({ min: 1, max: 4 }),
    max: fc.integer({ min: 1, max: 5 }),
    minCount: fc.integer({ min: 2, max: 4 }),
  })
  fc.assert(
    fc.property(input, ({ tokens, start, min, max, minCount }) => {
      const outputs = tokens.slice(start).join("")
      const sizes = Array.from({ length: Math.max(0, max - min + 1) }, (_, i) => min + i)
      const repeats = sizes.some(
        (size) => outputs.length >= size * minCount && outputs.endsWith(outputs.slice(-size).repeat(minCount)),
      )
      const params = { maxPatternSize: max, minPatternSize: min, minCount }
      expect(endsInRepetition(tokens, Math.min(start, tokens.length), params)).toBe(repeats)
    }),
    { numRuns: 1000 },
  )
})
