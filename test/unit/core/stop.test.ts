import { describe, expect, test } from "bun:test"
import type { SamplingParams } from "../../../src/core/sampling-params.ts"
import { checkStop, endsInRepetition } from "../../../src/core/stop.ts"
import { makeRequest } from "./harness.ts"

function stopOf(outputs: number[], sampling: Partial<SamplingParams>, maxModelLen = 100) {
  const request = makeRequest(5, { sampling: { eosTokenId: 2, ...sampling } })
  for (const id of outputs) request.appendOutputToken(id)
  return checkStop(request, maxModelLen)
}

describe("checkStop", () => {
  const stop = { finishReason: "stop", stopReason: null } as const
  const length = { finishReason: "length", stopReason: null } as const
  const repetition = { finishReason: "repetition", stopReason: "repetition_detected" } as const
  const repeats = { maxPatternSize: 1, minPatternSize: 1, minCount: 2 }

  for (const [name, outputs, sampling, expected] of [
    ["goes on", [1], {}, null],
    ["nothing generated", [], { maxTokens: 0 }, null],
    ["end of sequence", [1, 2], {}, stop],
    ["end of sequence, ignored", [1, 2], { ignoreEos: true }, null],
    ["end of sequence as a stop id too", [2], { ignoreEos: true, stopTokenIds: [2] }, { ...stop, stopReason: 2 }],
    ["a stop id", [1, 42], { stopTokenIds: [41, 42] }, { ...stop, stopReason: 42 }],
    ["end of sequence comes before length", [1, 2], { maxTokens: 2 }, stop],
    ["a stop id comes before length", [42], { maxTokens: 1, stopTokenIds: [42] }, { ...stop, stopReason: 42 }],
    ["length", [1, 1], { maxTokens: 2 }, length],
    ["ids that stop do so below minTokens as well", [2], { minTokens: 3 }, stop],
    ["repetition", [1, 1], { repetitionDetection: repeats }, repetition],
    ["length comes before repetition", [1, 1], { maxTokens: 2, repetitionDetection: repeats }, length],
    ["no repetition below minTokens", [1, 1], { minTokens: 3, repetitionDetection: repeats }, null],
  ] as [string, number[], Partial<SamplingParams>, unknown][]) {
    test(name, () => expect(stopOf(outputs, sampling) as unknown).toEqual(expected))
  }

  test("the model's length counts the prompt", () => {
    expect(stopOf([1, 1], {}, 8)).toBeNull()
    expect(stopOf([1, 1, 1], {}, 8)).toEqual(length)
  })
})

describe("endsInRepetition", () => {
  for (const [tokens, max, min, count, expected] of [
    [[1, 2, 3, 1, 2, 3, 1, 2, 3], 3, 2, 3, true],
    [[1, 2, 3, 1, 2, 3], 3, 2, 3, false],
    [[1, 2, 1, 2, 1, 2, 1, 2], 3, 2, 4, true],
    [[1, 2, 3, 4, 5, 6, 5, 6, 5, 6], 3, 2, 3, true],
    [[1, 2, 3, 1, 2, 3, 1, 2, 4], 3, 2, 3, false],
    [[7, 7, 7], 1, 0, 3, true],
    [[7, 7, 7], 3, 2, 2, false],
    [[7, 7, 7, 7], 3, 2, 2, true],
    [[7, 7], 0, 0, 2, false],
    [[7, 7], 1, 2, 2, false],
    [[7, 7], 1, 1, 1, false],
    [[], 3, 1, 2, false],
  ] as [number[], number, number, number, boolean][]) {
    test(`${tokens} patterns of ${min} to ${max}, ${count} times: ${expected}`, () => {
      const params = { maxPatternSize: max, minPatternSize: min, minCount: count }
      expect(endsInRepetition(tokens, 0, params)).toBe(expected)
    })
  }

  test("looks at outputs alone", () => {
    const params = { maxPatternSize: 1, minPatternSize: 1, minCount: 3 }
    expect(endsInRepetition([7, 7, 7], 1, params)).toBe(false)
    expect(endsInRepetition([7, 7, 7, 7], 1, params)).toBe(true)
  })
})
