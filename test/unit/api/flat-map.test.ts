import { describe, expect, test } from "bun:test"
import { FlatMap } from "../../../src/api/http/flat-map.ts"

async function* count(to: number, onEnd: () => void = () => {}): AsyncGenerator<number, void, void> {
  try {
    for (let i = 0; i < to; i++) yield i
  } finally {
    onEnd()
  }
}

async function all<T>(source: AsyncGenerator<T, void, void>): Promise<T[]> {
  const values: T[] = []
  for await (const value of source) values.push(value)
  return values
}

describe("FlatMap", () => {
  test("replaces each value by any number of others, and says what follows the last", async () => {
    const mapped = new FlatMap(count(4), { each: (i) => Array<number>(i).fill(i), last: () => [9, 9] })
    expect(await all(mapped)).toEqual([1, 2, 2, 3, 3, 3, 9, 9])
    expect(await mapped.next()).toEqual({ done: true, value: undefined })
  })

  test("tells its end once, when the source is done", async () => {
    let numEnds = 0
    await all(new FlatMap(count(3), { each: (i) => [i], ended: () => numEnds++ }))
    expect(numEnds).toBe(1)
  })

  test("a reader that leaves ends the source", async () => {
    const ends: string[] = []
    const source = count(100, () => ends.push("source"))
    const mapped = new FlatMap(source, { each: (i) => [i], ended: () => ends.push("map") })
    for await (const value of mapped) if (value === 2) break
    expect(ends).toEqual(["map", "source"])
    expect(await mapped.next()).toEqual({ done: true, value: undefined })
  })

  test("what `each` throws is the reader's error, and ends both", async () => {
    const ends: string[] = []
    const each = (i: number): number[] => {
      if (i === 1) throw new Error("broken")
      return [i]
    }
    const mapped = new FlatMap(count(100, () => ends.push("source")), { each, ended: () => ends.push("map") })
    await expect(all(mapped)).rejects.toThrow("broken")
    expect(ends.toSorted()).toEqual(["map", "source"])
  })

  test("a source's error is the reader's", async () => {
    async function* failing(): AsyncGenerator<number, void, void> {
      yield 1
      throw new Error("source broken")
    }
    let numEnds = 0
    const mapped = new FlatMap(failing(), { each: (i) => [i], ended: () => numEnds++ })
    await expect(all(mapped)).rejects.toThrow("source broken")
    expect(numEnds).toBe(1)
  })

  test("return() does not wait for a source that is waiting", async () => {
    const silent = new FlatMap(hanging(), { each: (i: number) => [i] })
    const pending = silent.next()
    await silent.return()
    expect(await pending).toEqual({ done: true, value: undefined })
  })
})

/** As the engine's stream: `return()` ends a waiting `next()`. */
function hanging(): AsyncGenerator<number, void, void> {
  let end = (): void => {}
  return {
    next: () => new Promise((resolve) => (end = () => resolve({ done: true, value: undefined }))),
    return: async () => (end(), { done: true, value: undefined }),
    throw: (error) => Promise.reject(error),
    [Symbol.asyncIterator]() { return this },
    [Symbol.asyncDispose]: async () => end(),
  }
}
