/**
 * Every bound on sampling parameters and prompts, and what each error calls the offending field.
 *
 * `validateSampling` and `validatePrompt` only look; `normalizeSampling` returns the parameters as the core wants them.
 * Bounds and `param` names are vLLM's, so that a client sees the same refusals. Numbers are stored as float32 and int32
 * by the sampler: what is checked is the value that is stored.
 */
import { RequestError } from "../base/errors.ts"
import type { RequestErrorType } from "../base/errors.ts"
import type { RepetitionDetectionParams, SamplingParams } from "../core/sampling-params.ts"
import { MAX_BAD_WORD_SEQUENCES } from "./bad-words.ts"

/** Completions of one prompt. */
export const MAX_N_SEQUENCES = 16384
/** Below this a temperature is greedy. */
export const GREEDY_EPSILON = 1e-5
/** Smallest temperature that still draws: below it a float32 softmax overflows. */
const MIN_TEMPERATURE = 0.01
const MAX_LOGIT_BIAS = 100
const MAX_LOGPROB_TOKEN_IDS = 128
/** Log-probabilities of one prompt, over all its tokens: so many objects are what a request may cost. */
const MAX_PROMPT_LOGPROBS = 4_000_000
const MIN_SEED = -(2n ** 63n)
/** A seed is any 64-bit pattern, read as signed or unsigned. */
const MAX_SEED = 2n ** 64n - 1n

const MAX_INT32 = 2 ** 31 - 1
const MAX_FLOAT32 = (2 - 2 ** -23) * 2 ** 127

/** What of the model bounds a request. */
export interface SamplingLimits {
  readonly vocabSize: number
  readonly maxModelLen: number
  /** -1 is the whole vocabulary. */
  readonly maxLogprobs: number
}

export interface ModelEosIds {
  readonly eosTokenId: number | null
  readonly extraEosTokenIds: readonly number[]
}

/** Errors: `RequestError` naming the field, the value and the limit. */
export function validateSampling(params: SamplingParams, limits: SamplingLimits): void {
  checkDistribution(params)
  checkPenalties(params)
  checkLengths(params, limits)
  checkStop(params, limits)
  if (params.logprobTokenIds === null) checkLogprobs("logprobs", params.logprobs, limits)
  else checkLogprobTokenIds(params.logprobTokenIds, params.logprobs, limits)
  checkLogprobs("prompt_logprobs", params.promptLogprobs, limits)
  checkTokenLists(params, limits)
  checkSeed(params.seed)
  if (params.repetitionDetection !== null) checkRepetitionDetection(params.repetitionDetection)
  if (!isInteger(params.streamInterval) || params.streamInterval < 1) {
    refuse(`stream_interval must be at least 1, got ${params.streamInterval}.`, "stream_interval")
  }
  // Last, so that a value that is wrong by itself is named first.
  if (params.n > 1 && isGreedy(params)) {
    refuse(`n must be 1 when using greedy sampling, got ${params.n}: every choice would be the same.`)
  }
}

export function isGreedy(params: SamplingParams): boolean {
  return params.temperature < GREEDY_EPSILON
}

function checkDistribution({ temperature, topP, topK, minP, n }: SamplingParams): void {
  if (!inRange(temperature, 0, 2)) refuse(`temperature must be in [0, 2], got ${temperature}.`, "temperature")
  if (!inRange(topP, 0, 1) || Math.fround(topP) === 0) {
    refuse(`top_p must be in (0, 1], got ${topP}${underflow(topP)}.`, "top_p")
  }
  if (topK > MAX_INT32) refuse(`top_k must be at most ${MAX_INT32}, got ${topK}.`)
  if (!isInteger(topK) || topK < -1) refuse(`top_k must be an integer, -1 or 0 (off) or at least 1, got ${topK}.`)
  if (!inRange(minP, 0, 1)) refuse(`min_p must be in [0, 1], got ${minP}.`)
  if (n > MAX_N_SEQUENCES) refuse(`n must be at most ${MAX_N_SEQUENCES}, got ${n}.`)
  if (!isInteger(n) || n < 1) refuse(`n must be at least 1, got ${n}.`)
}

/** Words for a number that is too small to be stored. */
function underflow(value: number): string {
  return value !== 0 && Math.fround(value) === 0 ? ", which is 0 as a float32" : ""
}

function checkPenalties({ presencePenalty, frequencyPenalty, repetitionPenalty }: SamplingParams): void {
  if (!inRange(presencePenalty, -2, 2)) refuse(`presence_penalty must be in [-2, 2], got ${presencePenalty}.`)
  if (!inRange(frequencyPenalty, -2, 2)) refuse(`frequency_penalty must be in [-2, 2], got ${frequencyPenalty}.`)
  const field = "repetition_penalty"
  if (!Number.isFinite(repetitionPenalty) || Math.fround(repetitionPenalty) <= 0) {
    const words = `${repetitionPenalty}${underflow(repetitionPenalty)}`
    refuse(`${field} must be greater than zero and finite, got ${words}.`)
  }
  if (!Number.isFinite(Math.fround(repetitionPenalty))) {
    refuse(`${field} must be at most ${MAX_FLOAT32}, the largest float32, got ${repetitionPenalty}.`)
  }
}

function checkLengths({ maxTokens, minTokens }: SamplingParams, limits: SamplingLimits): void {
  if (maxTokens > limits.maxModelLen) {
    refuse(
      `max_tokens=${maxTokens} is more than the model's maximum context length of ${limits.maxModelLen} tokens. ` +
        "Please request fewer output tokens.",
      "max_tokens",
    )
  }
  if (!isInteger(maxTokens) || maxTokens < 1) refuse(`max_tokens must be at least 1, got ${maxTokens}.`, "max_tokens")
  if (minTokens > maxTokens) refuse(`min_tokens must be at most max_tokens=${maxTokens}, got ${minTokens}.`)
  if (!isInteger(minTokens) || minTokens < 0) refuse(`min_tokens must be at least 0, got ${minTokens}.`)
}

function checkStop({ stop, stopTokenIds, detokenize }: SamplingParams, limits: SamplingLimits): void {
  if (stop.includes("")) refuse("stop cannot contain an empty string.")
  if (stop.length > 0 && !detokenize) refuse("stop strings need the generated text: set detokenize to true.")
  checkVocabulary("stop_token_ids", stopTokenIds, limits)
}

function checkLogprobs(field: "logprobs" | "prompt_logprobs", value: number | null, limits: SamplingLimits): void {
  if (value === null) return
  const requested = value === -1 ? limits.vocabSize : value
  const allowed = limits.maxLogprobs === -1 ? limits.vocabSize : limits.maxLogprobs
  if (requested > allowed) {
    refuse(`${field} of ${requested} tokens requested, which is greater than the allowed maximum of ${allowed}.`, field)
  }
  if (!isInteger(value) || value < -1) {
    refuse(`${field} must be at least 0, or -1 for the whole vocabulary, got ${value}.`, field)
  }
}

function checkLogprobTokenIds(ids: readonly number[], logprobs: number | null, limits: SamplingLimits): void {
  const field = "logprob_token_ids"
  if (ids.length === 0 || ids.length > MAX_LOGPROB_TOKEN_IDS) {
    refuse(`${field} must have 1 to ${MAX_LOGPROB_TOKEN_IDS} token ids, got ${ids.length}.`, field)
  }
  checkVocabulary(field, ids, limits)
  if (logprobs !== ids.length) {
    refuse(`${field} has ${ids.length} token ids, but logprobs is ${logprobs}: they must be as many.`, field)
  }
}

function checkTokenLists({ logitBias, allowedTokenIds, badWords }: SamplingParams, limits: SamplingLimits): void {
  if (logitBias !== null) {
    checkVocabulary("logit_bias", [...logitBias.keys()], limits)
    for (const [id, bias] of logitBias) {
      if (Number.isNaN(bias)) refuse(`logit_bias of token ${id} must be a number, got ${bias}.`, "logit_bias")
    }
  }
  if (allowedTokenIds !== null) {
    if (allowedTokenIds.length === 0) {
      refuse("allowed_token_ids must not be empty: no token could be chosen.", "allowed_token_ids")
    }
    checkVocabulary("allowed_token_ids", allowedTokenIds, limits)
  }
  if (badWords !== null) {
    if (badWords.length > MAX_BAD_WORD_SEQUENCES) {
      const limit = MAX_BAD_WORD_SEQUENCES
      refuse(`bad_words must be at most ${limit} token sequences, got ${badWords.length}.`, "bad_words")
    }
    for (const sequence of badWords) checkVocabulary("bad_words", sequence, limits)
  }
}

function checkVocabulary(field: string, ids: readonly number[], limits: SamplingLimits): void {
  const bad = ids.filter((id) => !isInteger(id) || id < 0 || id >= limits.vocabSize)
  if (bad.length === 0) return
  refuse(`${field} contains token ids outside the vocabulary of ${limits.vocabSize} tokens: ${listed(bad)}.`, field)
}

function checkSeed(seed: bigint | null): void {
  if (seed !== null && (seed < MIN_SEED || seed > MAX_SEED)) refuse(`seed must fit in 64 bits, got ${seed}.`)
}

function checkRepetitionDetection({ maxPatternSize, minPatternSize, minCount }: RepetitionDetectionParams): void {
  const field = "repetition_detection"
  const refuseUnlessAtLeast = (least: number, name: string, value: number) => {
    if (value > Number.MAX_SAFE_INTEGER) {
      refuse(`${field}.${name} must be at most ${Number.MAX_SAFE_INTEGER}, got ${value}.`, field)
    }
    if (!isInteger(value) || value < least) refuse(`${field}.${name} must be at least ${least}, got ${value}.`, field)
  }
  refuseUnlessAtLeast(0, "max_pattern_size", maxPatternSize)
  if (maxPatternSize === 0) return
  refuseUnlessAtLeast(0, "min_pattern_size", minPatternSize)
  refuseUnlessAtLeast(2, "min_count", minCount)
  if (minPatternSize > maxPatternSize) {
    refuse(`${field}.min_pattern_size must be at most ${maxPatternSize}, got ${minPatternSize}.`, field)
  }
}

/** Errors: `RequestError` when the prompt is empty, has an unknown id, or leaves no room for the output. */
export function validatePrompt(
  promptTokenIds: readonly number[],
  sampling: Pick<SamplingParams, "minTokens" | "promptLogprobs">,
  limits: SamplingLimits,
): void {
  const numTokens = promptTokenIds.length
  if (numTokens === 0) refuse("The prompt must not be empty: it has no tokens.", "prompt")
  const most = limits.maxModelLen
  if (numTokens >= most) {
    const consequence = numTokens === most ? ", which leaves no room for an output token" : ""
    throw new RequestError(
      `This model's maximum context length is ${most} tokens. However, your request has ${numTokens} input tokens` +
        `${consequence}. Please reduce the length of the input.`,
      { param: "input_tokens", code: "context_length_exceeded" },
    )
  }
  if (sampling.minTokens > most - numTokens) {
    refuse(
      `min_tokens=${sampling.minTokens} is more than the ${most - numTokens} tokens that fit after ` +
        `${numTokens} input tokens: this model's maximum context length is ${most} tokens.`,
    )
  }
  checkNumPromptLogprobs(numTokens, sampling.promptLogprobs, limits)
  for (const id of promptTokenIds) {
    if (!isInteger(id) || id < 0 || id >= limits.vocabSize) {
      refuse(`Token id ${id} of the prompt is outside the vocabulary of ${limits.vocabSize} tokens.`, "prompt")
    }
  }
}

function checkNumPromptLogprobs(numTokens: number, asked: number | null, limits: SamplingLimits): void {
  if (asked === null) return
  const perToken = 1 + (asked === -1 ? limits.vocabSize : asked)
  if (numTokens * perToken <= MAX_PROMPT_LOGPROBS) return
  refuse(
    `prompt_logprobs of ${perToken} tokens for each of ${numTokens} prompt tokens are ${numTokens * perToken}; ` +
      `at most ${MAX_PROMPT_LOGPROBS} are allowed.`,
    "prompt_logprobs",
  )
}

/**
 * Validated `params` as the core wants them: tiny temperatures raised, greedy without filters, one spelling for "off",
 * and the model's end-of-sequence ids filled in. A fresh object; applying it twice changes nothing more.
 */
export function normalizeSampling(params: SamplingParams, model: ModelEosIds & SamplingLimits): SamplingParams {
  const greedy = isGreedy(params)
  // A text that a grammar has ended cannot go on, and only an end-of-sequence token may follow it.
  const ignoreEos = params.ignoreEos && params.grammar === null
  const extraEosTokenIds = union(params.extraEosTokenIds, model.extraEosTokenIds)
  return {
    ...params,
    ignoreEos,
    minTokens: params.grammar === null ? params.minTokens : 0,
    temperature: greedy ? 0 : Math.max(params.temperature, MIN_TEMPERATURE),
    topP: greedy ? 1 : params.topP,
    topK: greedy || params.topK === -1 ? 0 : params.topK,
    minP: greedy ? 0 : params.minP,
    seed: params.seed === -1n ? null : params.seed,
    promptLogprobs: params.promptLogprobs === -1 ? model.vocabSize : params.promptLogprobs,
    logitBias: params.logitBias === null || params.logitBias.size === 0 ? null : clampBias(params.logitBias),
    allowedTokenIds: params.allowedTokenIds === null ? null : union(params.allowedTokenIds, []),
    badWords: params.badWords === null || params.badWords.length === 0 ? null : params.badWords,
    eosTokenId: params.eosTokenId ?? model.eosTokenId,
    extraEosTokenIds,
    stopTokenIds: ignoreEos ? union(params.stopTokenIds, []) : union(params.stopTokenIds, extraEosTokenIds),
  }
}

function clampBias(bias: ReadonlyMap<number, number>): Map<number, number> {
  const clamped = new Map<number, number>()
  for (const [id, value] of bias) clamped.set(id, Math.min(MAX_LOGIT_BIAS, Math.max(-MAX_LOGIT_BIAS, value)))
  return clamped
}

function union(a: readonly number[], b: readonly number[]): number[] {
  return [...new Set([...a, ...b])]
}

/** False for NaN and the infinities. */
function inRange(value: number, least: number, most: number): boolean {
  return value >= least && value <= most
}

function isInteger(value: number): boolean {
  return Number.isSafeInteger(value)
}

/** The first few of `values`: an error message must not be as long as the request. */
function listed(values: readonly number[]): string {
  const shown = values.slice(0, 8).join(", ")
  return values.length > 8 ? `${shown} and ${values.length - 8} more` : shown
}

function refuse(message: string, param: string | null = null, type: RequestErrorType = "BadRequestError"): never {
  throw new RequestError(message, { status: 400, type, param })
}
