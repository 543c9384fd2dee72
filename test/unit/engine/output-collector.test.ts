import { describe, expect, test } from "bun:test"
import { OutputCollector } from "../../../src/engine/output-collector.ts"
import type { MutableChoiceOutput } from "../../../src/engine/output-collector.ts"

function output(overrides: Partial<MutableChoiceOutput>): MutableChoiceOutput {
  const tokenIds = overrides.tokenIds ?? [1]
  return {
    index: 0,
    text: "a",
    tokenIds,
    logprobs: tokenIds.map((tokenId) => ({ tokenId, token: "", bytes: [], logprob: -tokenId, rank: 1, top: [] })),
    promptLogprobs: null,
    finishReason: null,
    stopReason: null,
    numOutputTokens: 1,
    numCachedTokens: 0,
    figures: null,
    ...overrides,
  }
}

describe("delta", () => {
  test("outputs of one choice merge while the reader is away", () => {
    const collector = new OutputCollector({ kind: "delta", numChoices: 1 })
    collector.put(output({ text: "a", tokenIds: [1], numOutputTokens: 1, numCachedTokens: 4 }))
    collector.put(output({ text: "b", tokenIds: [2, 3], numOutputTokens: 3, numCachedTokens: 4 }))
    const last = {
      text: "c",
      tokenIds: [4],
      numOutputTokens: 4,
      numCachedTokens: 4,
      finishReason: "stop",
      stopReason: "x",
    } as const
    collector.put(output({ ...last, tokenIds: [4] }))
    expect(collector.isFinished).toBe(true)
    const merged = collector.take()
    expect(merged).toMatchObject({ ...last, text: "abc", tokenIds: [1, 2, 3, 4] })
    expect(merged?.logprobs?.map(({ tokenId }) => tokenId)).toEqual([1, 2, 3, 4])
    expect(collector.take()).toBeNull()
  })

  test("each is handed out alone where the reader keeps up", () => {
    const collector = new OutputCollector({ kind: "delta", numChoices: 1 })
    for (const text of ["a", "b"]) {
      collector.put(output({ text }))
      expect(collector.take()?.text).toBe(text)
    }
    expect(collector.take()).toBeNull()
    expect(collector.isFinished).toBe(false)
  })

  test("choices keep apart, oldest first", () => {
    const collector = new OutputCollector({ kind: "delta", numChoices: 2 })
    collector.put(output({ index: 1, text: "x" }))
    collector.put(output({ index: 0, text: "a" }))
    collector.put(output({ index: 1, text: "y", finishReason: "length" }))
    expect(collector.isFinished).toBe(false)
    expect(collector.take()).toMatchObject({ index: 1, text: "xy", finishReason: "length" })
    expect(collector.take()).toMatchObject({ index: 0, text: "a", finishReason: null })
  })

  test("however much waits, it is one output a choice", () => {
    const collector = new OutputCollector({ kind: "delta", numChoices: 1 })
    for (let i = 0; i < 1000; i++) collector.put(output({ text: "a", numOutputTokens: i + 1 }))
    expect(collector.take()).toMatchObject({ text: "a".repeat(1000), numOutputTokens: 1000 })
    expect(collector.take()).toBeNull()
  })

  test("an output after a choice's end is a bug", () => {
    const collector = new OutputCollector({ kind: "delta", numChoices: 2 })
    collector.put(output({ finishReason: "stop" }))
    expect(() => collector.put(output({}))).toThrow("after its end")
  })
})

describe("a prompt that is judged", () => {
  const judged = [{ tokenId: 7, token: "", bytes: [], logprob: -1, rank: 1, top: [] }]
  const makeCollector = (kind: "delta" | "final") =>
    new OutputCollector({ kind, numChoices: 3, hasPromptLogprobs: true })

  test("is told with the first output of every choice, and earlier ones wait for it", () => {
    const collector = makeCollector("delta")
    collector.put(output({ index: 2, text: "x" }))
    collector.put(output({ index: 1, text: "a", finishReason: "stop" }))
    collector.put(output({ index: 2, text: "y" }))
    expect(collector.take()).toBeNull()
    collector.put(output({ index: 0, text: "0", promptLogprobs: judged }))
    const taken = [collector.take(), collector.take(), collector.take()]
    expect(taken.map((one) => [one?.index, one?.text, one?.promptLogprobs]))
      .toEqual([[2, "xy", judged], [1, "a", judged], [0, "0", judged]])
    collector.put(output({ index: 2, text: "z" }))
    expect(collector.take()).toMatchObject({ text: "z", promptLogprobs: null })
    expect(collector.take()).toBeNull()
  })

  test("is told of all choices at the end", () => {
    const collector = makeCollector("final")
    for (const index of [2, 0, 1]) {
      collector.put(output({ index, finishReason: "stop", promptLogprobs: index === 0 ? judged : null }))
    }
    expect([0, 1, 2].map(() => collector.take()?.promptLogprobs)).toEqual([judged, judged, judged])
  })

  test("keeps nobody waiting who has been aborted before", () => {
    for (const kind of ["delta", "final"] as const) {
      const collector = makeCollector(kind)
      for (const index of [1, 2, 0]) collector.put(output({ index, finishReason: "abort" }))
      expect([0, 1, 2].map(() => collector.take()?.promptLogprobs)).toEqual([null, null, null])
    }
  })
})

test("final: all choices wait for the last, then come in index order", () => {
  const collector = new OutputCollector({ kind: "final", numChoices: 3 })
  for (const index of [2, 0]) {
    collector.put(output({ index, finishReason: "stop" }))
    expect(collector.take()).toBeNull()
  }
  collector.put(output({ index: 1, finishReason: "length" }))
  expect([collector.take(), collector.take(), collector.take()].map((taken) => taken?.index)).toEqual([0, 1, 2])
  expect(collector.take()).toBeNull()
})
