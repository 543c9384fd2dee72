import { expect, test } from "bun:test"
import { TokenList } from "../../../src/core/token-list.ts"

test("reads like the array of its prompt and its outputs", () => {
  const prompt = [1, 2, 3]
  const list = new TokenList(prompt)
  for (const count of [0, 1, 4]) {
    while (list.length < prompt.length + count) list.push(10 + list.length)
    const all = [1, 2, 3, 13, 14, 15, 16].slice(0, 3 + count)
    expect([...list]).toEqual(all)
    for (let i = 0; i <= all.length; i++) {
      expect(list.at(i)).toBe(all[i])
      for (let end = 0; end <= all.length + 1; end++) expect(list.slice(i, end)).toEqual(all.slice(i, end))
    }
    expect(list.slice()).toEqual(all)
    expect(list.slice(2)).toEqual(all.slice(2))
  }
  expect(prompt).toEqual([1, 2, 3])
})

test("two lists over one prompt do not see each other's outputs, and copy nothing", () => {
  const prompt = [1, 2]
  const [a, b] = [new TokenList(prompt), new TokenList(prompt)]
  a.push(3)
  b.push(4)
  expect([[...a], [...b], prompt]).toEqual([[1, 2, 3], [1, 2, 4], [1, 2]])
})
