import { describe, expect, test } from "bun:test"
import type { KVManager } from "../../../../src/core/kv/kv-manager.ts"
import type { Request } from "../../../../src/core/request.ts"
import { makeKVManager, makeRequest, range } from "../harness.ts"

/** Admits the request as far as its prompt goes; returns its hit's length and block table, or null: no room. */
function admit(kv: KVManager, request: Request, numNewTokens?: number, fullSequenceMustFit = false) {
  const hit = kv.findPrefixHit(request)
  const numTokens = numNewTokens ?? request.numTokens - hit.numSkippedTokens
  const admission = { hit, fullSequenceMustFit, keepsWatermark: false }
  if (!kv.admit(request, numTokens, admission)) return null
  request.numComputedTokens = hit.numSkippedTokens + numTokens
  return { hit: hit.numTokens, blockIds: kv.blockIds(request.requestId) as number[] }
}

function append(request: Request, count: number): void {
  for (const id of range(count, 900)) request.appendOutputToken(id)
}

const common = range(48)
const NO_LOGPROBS = { logprob: 0, rank: 1, topIds: [], topLogprobs: [] }

describe("prefix caching", () => {
  test("the second request hits the full blocks; eviction order after both are freed", () => {
    const kv = makeKVManager({ numBlocks: 11 })
    const first = makeRequest([...common, ...range(7, 500)])
    const second = makeRequest([...common, ...range(5, 600)])
    expect(admit(kv, first)).toEqual({ hit: 0, blockIds: [1, 2, 3, 4] })
    expect(admit(kv, second)).toEqual({ hit: 48, blockIds: [1, 2, 3, 5] })
    expect([1, 2, 3, 4, 5].map((id) => kv.pool.block(id).refCount)).toEqual([2, 2, 2, 1, 1])
    kv.free(first.requestId)
    kv.free(second.requestId)
    expect(kv.pool.freeBlockIds()).toEqual([5, 4, 6, 7, 8, 9, 10, 3, 2, 1])
    expect(admit(kv, makeRequest(160))).toEqual({ hit: 0, blockIds: [5, 4, 6, 7, 8, 9, 10, 3, 2, 1] })
    kv.verify(1)
  })

  test("the end of a prompt is evicted before its beginning", () => {
    const kv = makeKVManager({ numBlocks: 11 })
    const first = makeRequest([...range(80), ...range(7, 700)])
    const second = makeRequest(range(48, 1000))
    expect(admit(kv, first)?.blockIds).toEqual([1, 2, 3, 4, 5, 6])
    expect(admit(kv, second)?.blockIds).toEqual([7, 8, 9])
    kv.free(first.requestId)
    expect(kv.pool.freeBlockIds()).toEqual([6, 10, 5, 4, 3, 2, 1])
    kv.free(second.requestId)
    expect(kv.pool.freeBlockIds()).toEqual([6, 10, 5, 4, 3, 2, 1, 9, 8, 7])
    expect(admit(kv, makeRequest([...range(32), ...range(3, 800)]))).toEqual({ hit: 32, blockIds: [1, 2, 6] })
  })

  test("outputs fill blocks, and full ones are found by the next turn", () => {
    const kv = makeKVManager({ numBlocks: 11 })
    const request = makeRequest([...common, ...range(7, 500)])
    admit(kv, request)
    append(request, 4)
    expect(kv.allocateSlots(request, 4)).toBe(true)
    request.numComputedTokens += 4
    expect(kv.blockIds(request.requestId)).toEqual([1, 2, 3, 4])
    expect(kv.pool.block(4).hash).toBeNull()
    append(request, 15)
    expect(kv.allocateSlots(request, 15)).toBe(true)
    request.numComputedTokens += 15
    expect(kv.blockIds(request.requestId)).toEqual([1, 2, 3, 4, 5])
    expect(kv.pool.block(4).hash).toBe(request.blockHashes[3] ?? null)
    expect(kv.findPrefixHit(makeRequest([...request.tokenIds, 1])).blockIdsByGroup).toEqual([[1, 2, 3, 4]])
  })

  test("a prompt that is wholly cached computes its last block again", () => {
    const kv = makeKVManager({ numBlocks: 11 })
    admit(kv, makeRequest(common))
    expect(admit(kv, makeRequest(common))).toEqual({ hit: 32, blockIds: [1, 2, 4] })
    expect(admit(kv, makeRequest([...common, 5]))?.hit).toBe(48)
  })

  test("a block in a free queue that is a hit is not handed out for the rest of the request", () => {
    const kv = makeKVManager({ numBlocks: 3 })
    const [first, second] = [makeRequest(range(16)), makeRequest(range(16, 100))]
    admit(kv, first)
    admit(kv, second)
    kv.free(first.requestId)
    kv.free(second.requestId)
    expect(kv.pool.freeBlockIds()).toEqual([1, 2])
    expect(admit(kv, makeRequest(range(32)))).toEqual({ hit: 16, blockIds: [1, 2] })
  })

  test("a block forgets its name when it is used again", () => {
    const kv = makeKVManager({ numBlocks: 2 })
    const first = makeRequest(range(16))
    admit(kv, first)
    expect(kv.pool.block(1).hash).not.toBeNull()
    kv.free(first.requestId)
    admit(kv, makeRequest(range(15)))
    expect(kv.pool.block(1).hash).toBeNull()
    expect(kv.findPrefixHit(makeRequest(range(17))).numTokens).toBe(0)
  })

  test("drafts get slots and no names", () => {
    const kv = makeKVManager({ blockSize: 4 })
    const request = makeRequest(range(6))
    admit(kv, request)
    append(request, 1)
    expect(kv.allocateSlots(request, 4)).toBe(true)
    expect(kv.blockIds(request.requestId)).toHaveLength(3)
    expect(kv.pool.block(2).hash).toBeNull()
  })

  test("salts separate, adapters separate", () => {
    const kv = makeKVManager()
    admit(kv, makeRequest(common, { cacheSalt: "a" }))
    expect(kv.findPrefixHit(makeRequest([...common, 1], { cacheSalt: "a" })).numTokens).toBe(48)
    expect(kv.findPrefixHit(makeRequest([...common, 1], { cacheSalt: "b" })).numTokens).toBe(0)
    expect(kv.findPrefixHit(makeRequest([...common, 1])).numTokens).toBe(0)
    admit(kv, makeRequest(common, { extraHashKeys: [["lora", "x", "/x"]] }))
    expect(kv.findPrefixHit(makeRequest([...common, 1])).numTokens).toBe(0)
  })

  test("a request that needs outputs from inside its prefix shares the blocks and computes from there on", () => {
    const kv = makeKVManager()
    admit(kv, makeRequest(common))
    const asking = makeRequest([...common, 1], { sampling: { promptLogprobs: 0 } })
    expect(kv.findPrefixHit(asking)).toMatchObject({ numTokens: 48, numSkippedTokens: 0 })
    asking.promptLogprobs?.add(1, range(20).map((tokenId) => ({ ...NO_LOGPROBS, tokenId })))
    const hit = kv.findPrefixHit(asking)
    expect(hit).toEqual({ blockIdsByGroup: [[1, 2, 3]], numTokens: 48, numSkippedTokens: 20 })
    expect(kv.admit(asking, 29, { hit, fullSequenceMustFit: true, keepsWatermark: false })).toBe(true)
    expect(kv.blockIds(asking.requestId)).toEqual([1, 2, 3, 4])
    kv.verify(2)
  })

  test("a plan that is taken back leaves the names of the shared blocks", () => {
    const kv = makeKVManager()
    admit(kv, makeRequest(common))
    const asking = makeRequest([...common, 1], { sampling: { promptLogprobs: 0 } })
    const hit = kv.findPrefixHit(asking)
    asking.admit(hit)
    expect(kv.admit(asking, 16, { hit, fullSequenceMustFit: false, keepsWatermark: false })).toBe(true)
    kv.uncacheUncomputed(asking)
    expect(kv.findPrefixHit(makeRequest([...common, 1])).numTokens).toBe(48)
  })

  test("switched off: no hits, no names, frees to the head", () => {
    const kv = makeKVManager({ numBlocks: 5, blockSize: 4, enablePrefixCaching: false })
    const first = makeRequest(range(10))
    expect(admit(kv, first)?.blockIds).toHaveLength(3)
    kv.free(first.requestId)
    expect(kv.pool.freeBlockIds()).toEqual([3, 2, 1, 4])
    expect(admit(kv, makeRequest(range(16)))).toMatchObject({ hit: 0 })
    expect(admit(kv, makeRequest(4))).toBeNull()
  })

  test("a reset forgets everything once nobody holds blocks", () => {
    const kv = makeKVManager()
    const request = makeRequest(common)
    admit(kv, request)
    expect(kv.resetPrefixCache()).toBe(false)
    kv.free(request.requestId)
    expect(kv.resetPrefixCache()).toBe(true)
    expect(kv.findPrefixHit(makeRequest([...common, 1])).numTokens).toBe(0)
  })
})

describe("no room", () => {
  test("leaves hits and the free queue untouched", () => {
    const kv = makeKVManager({ numBlocks: 11 })
    const first = makeRequest(common)
    admit(kv, first)
    const second = makeRequest([...common, ...range(48, 500)])
    expect(admit(kv, second)?.blockIds).toEqual([1, 2, 3, 4, 5, 6])
    kv.free(second.requestId)
    const third = makeRequest(64)
    expect(admit(kv, third)?.blockIds).toEqual([7, 8, 9, 10])
    const free = kv.pool.freeBlockIds()
    expect(free).toEqual([6, 5, 4])
    // Six blocks of hit, three of them free; the four that it needs besides are not there.
    const fourth = makeRequest([...second.tokenIds, ...range(20, 900)])
    expect(kv.findPrefixHit(fourth).numTokens).toBe(96)
    expect(admit(kv, fourth)).toBeNull()
    expect(kv.pool.freeBlockIds()).toEqual(free)
    expect([1, 2, 3, 4].map((id) => kv.pool.block(id).refCount)).toEqual([1, 1, 1, 0])
    kv.verify(2)
  })

  test("a running request that cannot grow keeps what it has", () => {
    const kv = makeKVManager({ numBlocks: 3, blockSize: 4 })
    const request = makeRequest(8)
    admit(kv, request)
    append(request, 1)
    expect(kv.allocateSlots(request, 1)).toBe(false)
    expect(kv.blockIds(request.requestId)).toEqual([1, 2])
  })

  test("the whole sequence must fit where that is asked for", () => {
    const kv = makeKVManager({ numBlocks: 5, blockSize: 4 })
    expect(admit(kv, makeRequest(17), 4, true)).toBeNull()
    expect(admit(kv, makeRequest(16), 4, true)?.blockIds).toEqual([1])
    // Nothing is reserved: the next one is measured against what is free now.
    expect(admit(kv, makeRequest(13), 4, true)).toBeNull()
    expect(admit(kv, makeRequest(13), 4, false)?.blockIds).toEqual([2])
  })

  test("a windowed sequence needs no more than its window and a step hold at once", () => {
    const kv = makeKVManager({ numBlocks: 9, blockSize: 4, window: 8, maxModelLen: 100 })
    expect(admit(kv, makeRequest(90), 4, true)).toBeNull()
    const small = makeKVManager({ numBlocks: 9, blockSize: 4, window: 8 })
    expect(admit(small, makeRequest(30), 4, true)?.blockIds).toEqual([1])
  })

  test("the watermark is kept for those already running", () => {
    const kv = makeKVManager({ numBlocks: 10, blockSize: 4, watermark: 0.3 })
    const hit = kv.noHit()
    const ask = (tokens: number, keepsWatermark: boolean) =>
      kv.admit(makeRequest(tokens), tokens, { hit, fullSequenceMustFit: false, keepsWatermark })
    expect(ask(28, true)).toBe(false)
    expect(ask(24, true)).toBe(true)
    expect(ask(4, true)).toBe(false)
    expect(ask(12, false)).toBe(true)
  })
})

describe("sliding window", () => {
  test("blocks out of the window go back and leave null blocks", () => {
    const kv = makeKVManager({ numBlocks: 20, blockSize: 4, window: 8 })
    const request = makeRequest(16)
    admit(kv, request, 16)
    expect(kv.blockIds(request.requestId)).toEqual([1, 2, 3, 4])
    append(request, 1)
    // The query at 16 reads from 9 on: blocks 0 and 1 are not read.
    expect(kv.allocateSlots(request, 1)).toBe(true)
    expect(kv.blockIds(request.requestId)).toEqual([0, 0, 3, 4, 5])
    expect(kv.pool.freeBlockIds().slice(-2)).toEqual([2, 1])
    kv.verify(1)
  })

  test("a step in flight keeps its window", () => {
    const kv = makeKVManager({ numBlocks: 20, blockSize: 4, window: 8 })
    const request = makeRequest(32)
    admit(kv, request, 16)
    request.numInFlightTokens = 16
    expect(kv.allocateSlots(request, 8)).toBe(true)
    expect(kv.blockIds(request.requestId)).toEqual([1, 2, 3, 4, 5, 6])
    request.numInFlightTokens = 0
    expect(kv.allocateSlots(request, 8)).toBe(true)
    expect(kv.blockIds(request.requestId)).toEqual([0, 0, 3, 4, 5, 6])
  })

  test("a hit brings the window's blocks alone", () => {
    const kv = makeKVManager({ numBlocks: 20, blockSize: 4, window: 8 })
    const request = makeRequest(range(20))
    admit(kv, request)
    const hit = kv.findPrefixHit(makeRequest(range(21)))
    expect(hit).toMatchObject({ numTokens: 20, blockIdsByGroup: [[0, 0, 0, 4, 5]] })
  })
})

describe("hybrid of full attention and a window", () => {
  const options = { numBlocks: 40, blockSize: 4, hybridWindow: 8 }

  test("each group has its own table, and hits need both", () => {
    const kv = makeKVManager(options)
    const request = makeRequest(range(18))
    admit(kv, request)
    expect(kv.blockIdsByGroup(request.requestId)).toEqual([[1, 2, 3, 4, 5], [6, 7, 8, 9, 10]])
    expect(kv.findPrefixHit(makeRequest(range(18)))).toMatchObject({
      numTokens: 16,
      blockIdsByGroup: [[1, 2, 3, 4], [0, 0, 8, 9]],
    })
    // Without the window's block at the end, the longest prefix that both have ends before it.
    kv.pool.evict([9])
    expect(kv.findPrefixHit(makeRequest(range(18)))).toMatchObject({
      numTokens: 12,
      blockIdsByGroup: [[1, 2, 3], [0, 7, 8]],
    })
    kv.pool.evict([2])
    expect(kv.findPrefixHit(makeRequest(range(18)))).toMatchObject({ numTokens: 4, blockIdsByGroup: [[1], [6]] })
  })

  test("outputs from inside a prefix need its window too: else the prefix ends before them", () => {
    const kv = makeKVManager(options)
    admit(kv, makeRequest(range(18)))
    const asking = (numKnown: number) => {
      const request = makeRequest(range(18), { sampling: { promptLogprobs: 0 } })
      request.promptLogprobs?.add(1, range(numKnown - 1).map((tokenId) => ({ ...NO_LOGPROBS, tokenId })))
      return kv.findPrefixHit(request)
    }
    // The window of position 15 begins inside block 2, which the hit of 16 tokens has; that of 14 begins in block 1.
    expect(asking(16)).toMatchObject({ numTokens: 16, numSkippedTokens: 15 })
    expect(asking(11)).toMatchObject({ numTokens: 8, numSkippedTokens: 8 })
    expect(asking(1)).toMatchObject({ numTokens: 0, numSkippedTokens: 0 })
  })

  test("the window's group gives blocks back, the full one does not", () => {
    const kv = makeKVManager(options)
    const request = makeRequest(range(16))
    admit(kv, request)
    append(request, 1)
    expect(kv.allocateSlots(request, 1)).toBe(true)
    expect(kv.blockIdsByGroup(request.requestId)).toEqual([[1, 2, 3, 4, 9], [0, 0, 7, 8, 10]])
    kv.free(request.requestId)
    kv.verify(0)
    expect(kv.pool.numFreeBlocks).toBe(39)
  })
})
