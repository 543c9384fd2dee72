import { describe, expect, test } from "bun:test"
import { KVBlock } from "../../../../src/core/kv/block.ts"
import { FreeQueue } from "../../../../src/core/kv/free-queue.ts"
import { ids, range } from "../harness.ts"

function makeQueue(count: number) {
  const blocks = range(count).map((id) => new KVBlock(id))
  const at = (...wanted: number[]) => wanted.map((id) => blocks[id] as KVBlock)
  return { queue: new FreeQueue(blocks), at }
}

describe("FreeQueue", () => {
  test("hands blocks out in the order in which they came", () => {
    const { queue, at } = makeQueue(5)
    expect(ids([queue.popFirst(), queue.popFirst()])).toEqual([0, 1])
    queue.append(at(0)[0] as KVBlock)
    expect(ids(queue.popFirstN(4))).toEqual([2, 3, 4, 0])
    expect(queue.size).toBe(0)
  })

  test("takes a block out of the middle", () => {
    const { queue, at } = makeQueue(5)
    for (const block of at(2, 0, 4)) queue.remove(block)
    expect(ids(queue.toArray())).toEqual([1, 3])
    expect(queue.size).toBe(2)
  })

  test("appends and prepends in the given order", () => {
    const { queue, at } = makeQueue(6)
    queue.popFirstN(4)
    queue.appendAll(at(3, 1))
    queue.prependAll(at(2, 0))
    expect(ids(queue.toArray())).toEqual([2, 0, 4, 5, 3, 1])
  })

  test("shows the first blocks and keeps them", () => {
    const { queue, at } = makeQueue(4)
    queue.remove(at(1)[0] as KVBlock)
    expect(ids(queue.firstN(2))).toEqual([0, 2])
    expect(ids(queue.firstN(9))).toEqual([0, 2, 3])
    expect(ids(queue.popFirstN(3))).toEqual([0, 2, 3])
    expect(queue.firstN(1)).toEqual([])
  })

  test("popping nothing gives nothing", () => {
    const { queue } = makeQueue(1)
    expect(queue.popFirstN(0)).toEqual([])
    expect(queue.size).toBe(1)
  })

  test("misuse is caught", () => {
    const { queue, at } = makeQueue(2)
    const [first] = at(0) as [KVBlock]
    expect(() => queue.append(first)).toThrow("already in the free queue")
    queue.popFirst()
    expect(() => queue.remove(first)).toThrow("not in the free queue")
    queue.popFirst()
    expect(() => queue.popFirst()).toThrow("no free block")
    expect(() => queue.popFirstN(1)).toThrow("want 1 free blocks, have 0")
  })
})
