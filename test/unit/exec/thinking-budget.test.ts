import { describe, expect, test } from "bun:test"
import { forcedToken } from "../../../src/exec/sampler/thinking-budget.ts"

const [START, END] = [1, 2]

/** What is forced after these tokens, the first `numPrompt` of them the prompt. */
function forced(tokenIds: number[], maxTokens: number, marks = {}): number | null {
  const ids = { startIds: [START], endIds: [END], forcedEndIds: [END] }
  const thinkingBudget = { maxTokens, ...ids, unmarkedStart: null, ...marks }
  return forcedToken(tokenIds, thinkingBudget)
}

describe("a thinking budget", () => {
  test("ends reasoning when it is used up, not before", () => {
    expect(forced([9, START, 5, 5], 3)).toBeNull()
    expect(forced([9, START, 5, 5, 5], 3)).toBe(END)
    expect(forced([9, START], 0)).toBe(END)
  })

  test("does not touch text outside of reasoning", () => {
    expect(forced([9, 9, 9], 0)).toBeNull()
    expect(forced([START, 5, END, 5, 5, 5], 2)).toBeNull()
    expect(forced([START, 5, END, 5, START, 5, 5], 2)).toBe(END)
  })

  test("writes a sentence token by token, and goes on with what is there", () => {
    const marks = { forcedEndIds: [7, 8, END] }
    expect(forced([START, 5, 5], 2, marks)).toBe(7)
    expect(forced([START, 5, 5, 7], 2, marks)).toBe(8)
    expect(forced([START, 5, 5, 7, 8], 2, marks)).toBe(END)
    expect(forced([START, 5, 5, 7, 8, END], 2, marks)).toBeNull()
    expect(forced([START, 5, 7, 8], 2, marks)).toBe(END)
  })

  test("knows marks of several tokens", () => {
    const marks = { startIds: [1, 1], endIds: [2, 2], forcedEndIds: [2, 2] }
    expect(forced([1, 1, 5, 5], 2, marks)).toBe(2)
    expect(forced([1, 1, 5, 5, 2], 2, marks)).toBe(2)
    expect(forced([1, 1, 5, 5, 2, 2], 2, marks)).toBeNull()
    expect(forced([1, 5, 5, 5], 2, marks)).toBeNull()
  })

  test("counts from where reasoning begins without a mark", () => {
    const marks = { unmarkedStart: 3 }
    expect(forced([END, 9, 9, 5], 2, marks)).toBeNull()
    expect(forced([END, 9, 9, 5, 5], 2, marks)).toBe(END)
    expect(forced([9, 9, 9, 5, 5, END, 5], 2, marks)).toBeNull()
    expect(forced([9, 9, 9, 5, END, START, 5, 5], 2, marks)).toBe(END)
  })

  test("none is no budget", () => {
    expect(forcedToken([START, 5], null)).toBeNull()
  })
})
