import { describe, expect, test } from "bun:test"
import { NgramDrafter, type NgramMatch } from "../../../../src/core/draft/ngram-drafter.ts"

function propose(tokens: string, sizes: [number, number], maxTokens: number, match: NgramMatch = "earliest"): string {
  const drafter = new NgramDrafter({ minSize: sizes[0], maxSize: sizes[1], match })
  const tokenIds = tokens.split(" ").filter((id) => id !== "").map(Number)
  const request = { requestId: "r", tokenIds, numPromptTokens: tokenIds.length, tenant: null }
  return drafter.propose(request, maxTokens).join(" ")
}

describe("the n-gram drafter", () => {
  const hundreds = "1 2 3 100 1 2 3 200 1 2 3 300 1 2 3"
  test.each([
    ["1 3 6 2 3 4 1 2 3", [2, 2], 3, "4 1 2"],
    ["1 3 6 2 3 4 1 2 3", [1, 1], 2, "6 2"],
    ["2 3 4 5 1 2 3 4 1 2 3 4", [3, 4], 2, "1 2"],
    ["3 4 5 2 3 4 1 2 3 4", [2, 4], 2, "1 2"],
    [hundreds, [3, 3], 2, "100 1"],
    ["1 2 3", [2, 2], 3, ""],
    ["1", [2, 3], 3, ""],
    ["", [1, 1], 3, ""],
    ["7 7", [1, 1], 3, "7"],
    ["5 6 5 6", [2, 2], 0, ""],
  ] as const)("continues %s with runs of %p, %p tokens: %s", (tokens, sizes, maxTokens, drafted) => {
    expect(propose(tokens, [...sizes], maxTokens)).toBe(drafted)
  })

  test.each([
    [hundreds, [3, 3], "300 1"],
    ["1 3 6 2 3 4 1 2 3", [1, 1], "4 1"],
    ["1 3 6 2 3 4 1 2 3", [2, 2], "4 1"],
  ] as const)("the latest match: %s with runs of %p gives %s", (tokens, sizes, drafted) => {
    expect(propose(tokens, [...sizes], 2, "latest")).toBe(drafted)
  })

  test("forgets a request that ends", () => {
    const drafter = new NgramDrafter({ minSize: 1, maxSize: 2, match: "latest" })
    const long = { requestId: "r", tokenIds: [1, 2, 3, 1], numPromptTokens: 4, tenant: null }
    expect(drafter.propose(long, 2)).toEqual([2, 3])
    drafter.finish(long)
    expect(drafter.propose({ ...long, tokenIds: [1, 1] }, 2)).toEqual([1])
  })
})
