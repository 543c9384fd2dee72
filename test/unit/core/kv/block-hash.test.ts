import { describe, expect, test } from "bun:test"
import { createHash } from "node:crypto"
import {
  type BlockHash,
  extendBlockHashes,
  extraKeysOf,
  hashBlock,
  type HashedPrefix,
  ROOT_HASH,
} from "../../../../src/core/kv/block-hash.ts"
import { range } from "../harness.ts"

function prefix(tokenIds: number[], options: Partial<HashedPrefix> = {}): HashedPrefix {
  return {
    tokenIds, numPromptTokens: tokenIds.length, blockHashes: [], promptHashes: [], cacheSalt: null, extraHashKeys: [],
    encoderInputs: [], ...options,
  }
}

function hashesOf(tokenIds: number[], options: Partial<HashedPrefix> = {}): BlockHash[] {
  const p = prefix(tokenIds, options)
  extendBlockHashes(p, 4)
  return p.blockHashes
}

describe("block hashes", () => {
  test("are sha256 over parent, count, ids and keys", () => {
    const bytes = Buffer.concat([
      Buffer.from(ROOT_HASH, "hex"),
      Buffer.from([2, 0, 0, 0, 5, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]),
      Buffer.from('[["lora","a","/p"]]'),
    ])
    const expected = createHash("sha256").update(bytes).digest("hex") as BlockHash
    expect(hashBlock(null, [9, 5, -1], { start: 1, end: 3 }, [["lora", "a", "/p"]])).toBe(expected)
  })

  test("name full blocks only, and are kept when tokens are added", () => {
    const p = prefix(range(7))
    extendBlockHashes(p, 4)
    expect(p.blockHashes).toHaveLength(1)
    const [first] = p.blockHashes
    ;(p.tokenIds as number[]).push(7)
    extendBlockHashes(p, 4)
    expect(p.blockHashes).toHaveLength(2)
    expect(p.blockHashes[0]).toBe(first as BlockHash)
    expect(p.blockHashes).toEqual(hashesOf(range(8)))
  })

  test("of a prompt are made once for all that share it, and never hold an output", () => {
    const promptHashes: BlockHash[] = []
    const [first, second] = [range(10), range(10)].map((ids) => prefix(ids, { promptHashes, numPromptTokens: 10 }))
    extendBlockHashes(first!, 4)
    expect(promptHashes).toEqual(hashesOf(range(10)))
    // A name that only this prompt's own list could have brought.
    promptHashes[1] = "kept" as BlockHash
    extendBlockHashes(second!, 4)
    expect(second!.blockHashes).toEqual([first!.blockHashes[0]!, "kept" as BlockHash])
    ;(first!.tokenIds as number[]).push(7, 8, 9)
    extendBlockHashes(first!, 4)
    expect([first!.blockHashes.length, promptHashes.length]).toEqual([3, 2])
  })

  test("cover the whole prefix", () => {
    const a = hashesOf([1, 2, 3, 4, 5, 6, 7, 8])
    const b = hashesOf([1, 2, 3, 0, 5, 6, 7, 8])
    expect(a[0]).not.toBe(b[0] as BlockHash)
    expect(a[1]).not.toBe(b[1] as BlockHash)
    expect(new Set(hashesOf([1, 1, 1, 1, 1, 1, 1, 1])).size).toBe(2)
  })

  test("what an encoder's input is of enters the blocks that it touches, with its place in them", () => {
    const inputs = prefix(range(16), { encoderInputs: [{ key: "cat", offset: 5, numTokens: 4 }] })
    const keysAt = (start: number) => extraKeysOf(inputs, { start, end: start + 4 })
    expect([0, 4, 8, 12].map(keysAt)).toEqual([[], [["mm", "cat", "1"]], [["mm", "cat", "-3"]], []])
    const names = (key: string) => hashesOf(range(16), { encoderInputs: [{ key, offset: 5, numTokens: 4 }] })
    expect(names("cat").map((name, i) => name === names("dog")[i])).toEqual([true, false, false, false])
  })

  test("the salt enters the block at token 0 alone, if it is not empty", () => {
    const salted = { cacheSalt: "s", extraHashKeys: [["lora", "a", "/p"]], encoderInputs: [] } as const
    expect(extraKeysOf(salted, { start: 0, end: 4 })).toEqual([["lora", "a", "/p"], ["cache_salt", "s"]])
    expect(extraKeysOf(salted, { start: 4, end: 8 })).toEqual([["lora", "a", "/p"]])
    expect(extraKeysOf(prefix([], { cacheSalt: "" }), { start: 0, end: 4 })).toEqual([])
    const [first] = hashesOf(range(8), { cacheSalt: "s" })
    const second = hashBlock(first as BlockHash, range(8), { start: 4, end: 8 })
    expect(hashesOf(range(8), { cacheSalt: "s" })).toEqual([first as BlockHash, second])
  })

  test("salts and adapters separate equal tokens", () => {
    const variants = [
      hashesOf(range(4)),
      hashesOf(range(4), { cacheSalt: "a" }),
      hashesOf(range(4), { cacheSalt: "b" }),
      hashesOf(range(4), { extraHashKeys: [["lora", "a", "b"]] }),
      hashesOf(range(4), { extraHashKeys: [["lora", "ab", ""]] }),
    ]
    expect(new Set(variants.map(([hash]) => hash)).size).toBe(variants.length)
  })

  test("blocks larger than the scratch space", () => {
    const tokens = range(5000)
    expect(hashBlock(null, tokens, { start: 0, end: 5000 })).not.toBe(hashBlock(null, tokens, { start: 0, end: 4999 }))
  })
})
