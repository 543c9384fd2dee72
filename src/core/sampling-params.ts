/**
 * How one request wants its tokens chosen and when it wants to end: plain data, every value resolved.
 *
 * The front half of the engine validates a caller's fields, merges the model's generation config and tokenizes bad
 * words; from here on no value means "ask somebody else". The scheduler reads the ending rules, the sampler the rest.
 *
 * Ids that may end a request, and who merges them:
 *   eosTokenId        the model's primary end-of-sequence id; ends the request unless `ignoreEos`
 *   extraEosTokenIds  the generation config's further ones; masked below `minTokens` like every other stop id, and
 *                     the front puts them into `stopTokenIds` too unless `ignoreEos`
 *   stopTokenIds      the caller's, and what the front merged into them
 */
import type { GrammarSpec } from "./grammar-spec.ts"

export interface SamplingParams {
  /** Completions of the prompt; the engine runs one request for each. */
  n: number
  /** 0 is greedy. */
  temperature: number
  /** In (0, 1]; 1 keeps every token. */
  topP: number
  /** 0 keeps every token. */
  topK: number
  /** Drops tokens less likely than `minP` times the likeliest; 0 keeps every token. */
  minP: number
  presencePenalty: number
  frequencyPenalty: number
  /** 1 changes nothing. */
  repetitionPenalty: number
  /** A 64-bit seed: the same seed gives the same draws whatever else is in the batch. Null draws one at admission. */
  seed: bigint | null
  /** Strings that end the text; the detokenizer looks for them, the core never does. */
  stop: string[]
  stopTokenIds: number[]
  eosTokenId: number | null
  extraEosTokenIds: number[]
  ignoreEos: boolean
  includeStopStrInOutput: boolean
  maxTokens: number
  minTokens: number
  /** Log-probabilities of this many likeliest tokens with each output token; -1 is the whole vocabulary, null none. */
  logprobs: number | null
  /** Instead of the likeliest tokens these, whose number `logprobs` is then. */
  logprobTokenIds: number[] | null
  /** Log-probabilities of this many likeliest tokens with each prompt token, the vocabulary at most; null none. */
  promptLogprobs: number | null
  /** Token id to the number added to its logit. */
  logitBias: Map<number, number> | null
  allowedTokenIds: number[] | null
  /** Token sequences that must not be completed. */
  badWords: number[][] | null
  repetitionDetection: RepetitionDetectionParams | null
  thinkingBudget: ThinkingBudget | null
  /** What the text is held to; null: nothing. */
  grammar: GrammarSpec | null
  /** What the caller has to say to logits processors; plain JSON. */
  extraArgs: Readonly<Record<string, unknown>> | null
  /** Tokens that a stream's output has at least, but for the first and the last one. */
  streamInterval: number
  detokenize: boolean
  skipSpecialTokens: boolean
  /** Special tokens that are text even where others are skipped: marks that are looked for. */
  keptTokenIds: number[]
  spacesBetweenSpecialTokens: boolean
}

/** Ends the model's reasoning after so many tokens, by the ids of its markers. */
export interface ThinkingBudget {
  maxTokens: number
  startIds: number[]
  /** What ends it when the model writes it. */
  endIds: number[]
  /** What is written when the budget is used up. */
  forcedEndIds: number[]
  /** Where reasoning begins that no mark opens, as an index into prompt and output; null: nowhere. */
  unmarkedStart: number | null
}

/** Ends a request whose output's tail is one pattern of `[minPatternSize, maxPatternSize]` tokens, `minCount` times. */
export interface RepetitionDetectionParams {
  /** 0 switches the detection off. */
  maxPatternSize: number
  /** 0 means 1. */
  minPatternSize: number
  minCount: number
}

/** Whether a token is chosen by the ones before it otherwise than by the model: then they have to be known. */
export function dependsOnTokens(p: SamplingParams): boolean {
  const hasPenalties = p.repetitionPenalty !== 1 || p.frequencyPenalty !== 0 || p.presencePenalty !== 0
  return hasPenalties || p.badWords !== null || p.thinkingBudget !== null
}

/** vLLM's defaults; `overrides` replace single fields. A fresh object each time. */
export function defaultSamplingParams(overrides: Partial<SamplingParams> = {}): SamplingParams {
  return {
    n: 1,
    temperature: 1,
    topP: 1,
    topK: 0,
    minP: 0,
    presencePenalty: 0,
    frequencyPenalty: 0,
    repetitionPenalty: 1,
    seed: null,
    stop: [],
    stopTokenIds: [],
    eosTokenId: null,
    extraEosTokenIds: [],
    ignoreEos: false,
    includeStopStrInOutput: false,
    maxTokens: 16,
    minTokens: 0,
    logprobs: null,
    logprobTokenIds: null,
    promptLogprobs: null,
    logitBias: null,
    allowedTokenIds: null,
    badWords: null,
    repetitionDetection: null,
    thinkingBudget: null,
    grammar: null,
    extraArgs: null,
    streamInterval: 1,
    detokenize: true,
    skipSpecialTokens: true,
    keptTokenIds: [],
    spacesBetweenSpecialTokens: true,
    ...overrides,
  }
}
