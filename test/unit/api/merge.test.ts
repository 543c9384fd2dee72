import { expect, test } from "bun:test"
import { mergeSources } from "../../../src/api/http/merge.ts"

async function* count(name: string, to: number, ended: string[]): AsyncGenerator<string, void, void> {
  try {
    for (let i = 0; i < to; i++) {
      await Bun.sleep(0)
      yield `${name}${i}`
    }
  } finally {
    ended.push(name)
  }
}

async function all(source: AsyncIterable<string>): Promise<string[]> {
  const values: string[] = []
  for await (const value of source) values.push(value)
  return values
}

test("gives every value of every source, each source's in order", async () => {
  const ended: string[] = []
  const values = await all(mergeSources([count("a", 3, ended), count("b", 5, ended), count("c", 0, ended)]))
  expect(values.toSorted()).toEqual(["a0", "a1", "a2", "b0", "b1", "b2", "b3", "b4"])
  expect(values.filter((value) => value.startsWith("b"))).toEqual(["b0", "b1", "b2", "b3", "b4"])
  expect(ended.toSorted()).toEqual(["a", "b", "c"])
})

test("no source runs ahead of the reader by more than one value", async () => {
  let numMade = 0
  async function* eager(): AsyncGenerator<number, void, void> {
    for (;;) yield numMade++
  }
  const merged = mergeSources([eager(), eager()])
  for (let i = 0; i < 10; i++) await merged.next()
  await Bun.sleep(5)
  expect(numMade).toBeLessThanOrEqual(14)
  await merged.return()
})

test("leaving the loop ends every source", async () => {
  const ended: string[] = []
  const merged = mergeSources([count("a", 1000, ended), count("b", 1000, ended)])
  await merged.next()
  await merged.return()
  await Bun.sleep(5)
  expect(ended.toSorted()).toEqual(["a", "b"])
})

test("a source's error ends the others and comes out", async () => {
  const ended: string[] = []
  async function* failing(): AsyncGenerator<string, void, void> {
    yield "x"
    throw new Error("broken")
  }
  await expect(all(mergeSources([failing(), count("a", 1000, ended)]))).rejects.toThrow("broken")
  await Bun.sleep(5)
  expect(ended).toEqual(["a"])
})
