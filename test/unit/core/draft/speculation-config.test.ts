import { describe, expect, test } from "bun:test"
import { readSpeculation } from "../../../../src/core/draft/speculation-config.ts"

describe("--speculative-config", () => {
  test("n-grams: one bound of the runs stands for the other, five where there is none", () => {
    const read = (keys: Record<string, unknown>) => readSpeculation({ method: "ngram", num_speculative_tokens: 4, ...keys })
    expect(read({})).toEqual({ method: "ngram", numTokens: 4, minSize: 5, maxSize: 5 })
    expect(read({ prompt_lookup_min: 2 })).toEqual({ method: "ngram", numTokens: 4, minSize: 2, maxSize: 2 })
    expect(read({ prompt_lookup_max: 3 })).toEqual({ method: "ngram", numTokens: 4, minSize: 3, maxSize: 3 })
    expect(read({ prompt_lookup_min: 1, prompt_lookup_max: 3 })).toMatchObject({ minSize: 1, maxSize: 3 })
  })

  test("suffixes: vLLM's defaults", () => {
    expect(readSpeculation({ method: "suffix" })).toEqual(
      { method: "suffix", numTokens: 24, maxDepth: 24, maxSpecFactor: 1, minTokenProb: 0.1 })
  })

  test("what does not fit is named with its limits", () => {
    const cases: [Record<string, unknown>, string][] = [
      [{}, 'method is missing, but must be "ngram" or "suffix"'],
      [{ method: "eagle" }, 'method is "eagle", but must be "ngram" or "suffix"'],
      [{ method: "ngram" }, "num_speculative_tokens is missing"],
      [{ method: "ngram", num_speculative_tokens: 0 }, "num_speculative_tokens is 0, but must be a whole number from 1 to 64"],
      [{ method: "ngram", num_speculative_tokens: 2.5 }, "num_speculative_tokens is 2.5, but must be a whole number"],
      [
        { method: "ngram", num_speculative_tokens: 2, prompt_lookup_min: 4, prompt_lookup_max: 3 },
        "prompt_lookup_max is 3, but must be a whole number from 4 to 64",
      ],
      [{ method: "suffix", suffix_decoding_min_token_prob: 2 }, "must be a number from 0 to 1"],
      [{ method: "suffix", model: "x" }, "model is not supported with method suffix; keys are method, "],
    ]
    for (const [values, message] of cases) expect(() => readSpeculation(values)).toThrow(message)
  })
})
