import { describe, expect, test } from "bun:test"
import { RequestError } from "../../../src/base/errors.ts"
import { defaultSamplingParams } from "../../../src/core/sampling-params.ts"
import type { SamplingParams } from "../../../src/core/sampling-params.ts"
import { normalizeSampling, validatePrompt, validateSampling } from "../../../src/engine/sampling-validation.ts"

const LIMITS = { vocabSize: 100, maxModelLen: 50, maxLogprobs: 20 }

function refusalOf(check: () => void): RequestError | null {
  try {
    check()
    return null
  } catch (error) {
    if (error instanceof RequestError) return error
    throw error
  }
}

const refuse = (overrides: Partial<SamplingParams>, limits = LIMITS) =>
  refusalOf(() => validateSampling(defaultSamplingParams(overrides), limits))

const shown = (value: unknown) => Bun.inspect(value, { compact: true }).slice(0, 80)
const bias = (...entries: [number, number][]) => new Map(entries)
const repetition = (maxPatternSize: number, minPatternSize: number, minCount: number) => ({
  repetitionDetection: { maxPatternSize, minPatternSize, minCount },
})

describe("validateSampling", () => {
  const accepted: Partial<SamplingParams>[] = [
    {},
    { temperature: 0, topP: 0.5, topK: 10, minP: 0.1 },
    { temperature: 2, topP: 1, topK: -1, minP: 1 },
    { temperature: 0.001, n: 16384 },
    { presencePenalty: -2, frequencyPenalty: 2, repetitionPenalty: 0.1 },
    { topP: 2 ** -149, minP: 5e-324, temperature: 5e-324 },
    { repetitionPenalty: 2 ** -149 },
    { repetitionPenalty: 3.4028234663852886e38 },
    { topK: 2 ** 31 - 1 },
    { maxTokens: 50, minTokens: 50 },
    { stop: ["a", "b", "c", "d"] },
    { stop: [], detokenize: false },
    { logprobs: 0 },
    { logprobs: 20 },
    { logitBias: bias([0, -1000], [99, 1000]), stopTokenIds: [0, 99], allowedTokenIds: [0], badWords: [[99]] },
    { badWords: Array.from({ length: 128 }, () => [1]) },
    { seed: -1n },
    { seed: 2n ** 64n - 1n },
    repetition(0, 0, 0),
    repetition(3, 2, 2),
  ]
  for (const overrides of accepted) {
    test(`accepts ${shown(overrides)}`, () => expect(refuse(overrides)).toBeNull())
  }

  // Overrides, the parameter the error names, and words its message must have: the value and the limit.
  const refused: [Partial<SamplingParams>, string | null, string[]][] = [
    [{ temperature: -0.1 }, "temperature", ["temperature", "[0, 2]", "-0.1"]],
    [{ temperature: 2.1 }, "temperature", ["2.1"]],
    [{ temperature: NaN }, "temperature", ["NaN"]],
    [{ temperature: Infinity }, "temperature", ["Infinity"]],
    [{ topP: 0 }, "top_p", ["(0, 1]", "0"]],
    [{ topP: 1.5 }, "top_p", ["1.5"]],
    [{ topK: -2 }, null, ["top_k", "-2"]],
    [{ topK: 1.5 }, null, ["top_k", "1.5"]],
    [{ topP: 1e-60 }, "top_p", ["(0, 1]", "1e-60", "0 as a float32"]],
    [{ topK: 2 ** 31 }, null, ["top_k", "2147483647", "2147483648"]],
    [{ topK: 4294967297 }, null, ["top_k", "2147483647", "4294967297"]],
    [{ topK: 1e300 }, null, ["top_k", "2147483647", "1e+300"]],
    [{ minP: -0.1 }, null, ["min_p", "[0, 1]", "-0.1"]],
    [{ minP: 2 }, null, ["min_p", "2"]],
    [{ n: 0 }, null, ["n must be at least 1", "0"]],
    [{ n: 16385 }, null, ["16384", "16385"]],
    [{ n: 2, temperature: 0 }, null, ["n must be 1", "greedy", "2"]],
    [{ n: 2, temperature: 0.000001 }, null, ["greedy"]],
    [{ presencePenalty: 5 }, null, ["presence_penalty", "[-2, 2]", "5"]],
    [{ frequencyPenalty: -5 }, null, ["frequency_penalty", "[-2, 2]", "-5"]],
    [{ repetitionPenalty: 0 }, null, ["repetition_penalty", "greater than zero"]],
    [{ repetitionPenalty: Infinity }, null, ["repetition_penalty"]],
    [{ repetitionPenalty: 1e-60 }, null, ["repetition_penalty", "greater than zero", "1e-60", "0 as a float32"]],
    [{ repetitionPenalty: 1e39 }, null, ["repetition_penalty", "3.4028234663852886e+38", "1e+39"]],
    [{ n: 2 ** 60 }, null, ["n must be at most 16384"]],
    [{ minTokens: 1e300 }, null, ["min_tokens must be at most max_tokens=16", "1e+300"]],
    [{ logprobs: 2 ** 63 }, "logprobs", ["9223372036854776000", "20"]],
    [{ maxTokens: 0 }, "max_tokens", ["max_tokens", "1", "0"]],
    [{ maxTokens: 51 }, "max_tokens", ["51", "50"]],
    [{ minTokens: -1 }, null, ["min_tokens", "-1"]],
    [{ minTokens: 17, maxTokens: 16 }, null, ["min_tokens", "max_tokens=16", "17"]],
    [{ stop: [""] }, null, ["stop", "empty"]],
    [{ stop: ["a"], detokenize: false }, null, ["stop", "detokenize"]],
    [{ stopTokenIds: [100] }, "stop_token_ids", ["100"]],
    [{ logitBias: bias([100, 1]) }, "logit_bias", ["vocabulary", "100"]],
    [{ logitBias: bias([-1, 1]) }, "logit_bias", ["-1"]],
    [{ logitBias: bias([1, NaN]) }, "logit_bias", ["NaN"]],
    [{ allowedTokenIds: [] }, "allowed_token_ids", ["empty"]],
    [{ allowedTokenIds: [3, 500] }, "allowed_token_ids", ["500"]],
    [{ badWords: Array.from({ length: 129 }, () => [1]) }, "bad_words", ["128", "129"]],
    [{ badWords: [[100]] }, "bad_words", ["100"]],
    [{ logprobs: -2 }, "logprobs", ["-2"]],
    [{ logprobs: 21 }, "logprobs", ["21", "20"]],
    [{ logprobs: -1 }, "logprobs", ["100", "20"]],
    [{ promptLogprobs: 21 }, "prompt_logprobs", ["21", "20"]],
    [{ promptLogprobs: -2 }, "prompt_logprobs", ["-2"]],
    [{ logprobTokenIds: [], logprobs: 0 }, "logprob_token_ids", ["128", "0"]],
    [{ logprobTokenIds: [1, 100], logprobs: 2 }, "logprob_token_ids", ["100"]],
    [{ logprobTokenIds: [1, 2], logprobs: 3 }, "logprob_token_ids", ["2", "3"]],
    [{ streamInterval: 0 }, "stream_interval", ["0"]],
    [{ seed: 2n ** 64n }, null, ["seed", "64 bits"]],
    [repetition(-1, 0, 2), "repetition_detection", ["max_pattern_size", "-1"]],
    [repetition(2 ** 63, 0, 2), "repetition_detection", ["max_pattern_size", "9007199254740991"]],
    [repetition(3, 4, 2), "repetition_detection", ["min_pattern_size", "4", "3"]],
    [repetition(3, 1, 1), "repetition_detection", ["min_count", "1"]],
  ]
  for (const [overrides, param, words] of refused) {
    test(`refuses ${shown(overrides)}`, () => {
      const error = refuse(overrides)
      expect(error).toMatchObject({ name: "RequestError", status: 400, param })
      for (const word of words) expect(error?.message).toContain(word)
    })
  }

  test("logprobs may be the whole vocabulary where the model allows it", () => {
    expect(refuse({ logprobs: -1 }, { ...LIMITS, maxLogprobs: -1 })).toBeNull()
    expect(refuse({ logprobs: 101 }, { ...LIMITS, maxLogprobs: -1 })?.message).toContain("100")
  })

  test("a long list of bad ids does not make a long message", () => {
    const error = refuse({ stopTokenIds: Array.from({ length: 10_000 }, (_, i) => 1000 + i) })
    expect(error?.message).toEndWith("1007 and 9992 more.")
  })
})

describe("validatePrompt", () => {
  const ids = (count: number) => Array.from({ length: count }, () => 7)
  const check = (promptTokenIds: number[], minTokens = 0, promptLogprobs: number | null = null) =>
    refusalOf(() => validatePrompt(promptTokenIds, { minTokens, promptLogprobs }, LIMITS))

  test("takes every prompt that leaves room for a token", () => {
    expect(check([0])).toBeNull()
    expect(check(ids(49))).toBeNull()
    expect(check(ids(40), 10)).toBeNull()
  })

  const refused: [string, number[], number, string | null, string[]][] = [
    ["an empty prompt", [], 0, "prompt", ["empty"]],
    ["an id beyond the vocabulary", [1, 100], 0, "prompt", ["100"]],
    ["a negative id", [-1], 0, "prompt", ["-1"]],
    ["a fraction", [1.5], 0, "prompt", ["1.5"]],
    [
      "no room for a token",
      ids(50),
      0,
      "input_tokens",
      ["maximum context length is 50 tokens", "50 input tokens", "no room"],
    ],
    [
      "a prompt longer than the model",
      ids(51),
      0,
      "input_tokens",
      ["maximum context length is 50 tokens", "51 input tokens"],
    ],
    ["no room for min_tokens", ids(40), 11, null, ["min_tokens=11", "10 tokens"]],
  ]
  test.each(refused)("refuses %s", (_name, promptTokenIds, minTokens, param, words) => {
    const error = check(promptTokenIds, minTokens)
    expect(error).toMatchObject({ status: 400, type: "BadRequestError", param })
    for (const word of words) expect(error?.message).toContain(word)
  })
})

describe("normalizeSampling", () => {
  const NO_EOS = { ...LIMITS, eosTokenId: null, extraEosTokenIds: [] }
  const rows: [string, Partial<SamplingParams>, Partial<SamplingParams>][] = [
    ["tiny temperatures are raised", { temperature: 0.001 }, { temperature: 0.01 }],
    [
      "greedy drops the filters",
      { temperature: 1e-6, topP: 0.5, topK: 4, minP: 0.2 },
      { temperature: 0, topP: 1, topK: 0, minP: 0 },
    ],
    ["top_k -1 is off", { topK: -1 }, { topK: 0 }],
    ["seed -1 is none", { seed: -1n }, { seed: null }],
    [
      "biases are clamped",
      { logitBias: bias([1, 500], [2, -500], [3, 7]) },
      { logitBias: bias([1, 100], [2, -100], [3, 7]) },
    ],
    ["an empty bias is none", { logitBias: bias() }, { logitBias: null }],
    ["no bad words is none", { badWords: [] }, { badWords: null }],
    ["the whole vocabulary is spelled out", { promptLogprobs: -1 }, { promptLogprobs: 100 }],
  ]
  for (const [name, overrides, expected] of rows) {
    test(name, () => {
      const params = normalizeSampling(defaultSamplingParams(overrides), NO_EOS)
      expect(params).toEqual(defaultSamplingParams({ ...overrides, ...expected }))
      expect(normalizeSampling(params, NO_EOS)).toEqual(params)
    })
  }

  test("the model's further end-of-sequence ids stop a request as stop token ids do, unless it ignores them", () => {
    const model = { ...LIMITS, eosTokenId: 9, extraEosTokenIds: [10, 11] }
    const params = normalizeSampling(defaultSamplingParams({ stopTokenIds: [3, 10] }), model)
    expect(params).toMatchObject({ eosTokenId: 9, extraEosTokenIds: [10, 11], stopTokenIds: [3, 10, 11] })
    const ignoring = normalizeSampling(defaultSamplingParams({ stopTokenIds: [3], ignoreEos: true }), model)
    expect(ignoring).toMatchObject({ eosTokenId: 9, extraEosTokenIds: [10, 11], stopTokenIds: [3] })
  })
})
