/**
 * A request's sampling fields as the engine's `SamplingParams`: the request's value, else the model's default from its
 * generation config, else vLLM's. The engine checks bounds; here only what it cannot see is checked.
 */
import { RequestError } from "../../base/errors.ts"
import type { GrammarSpec } from "../../core/grammar-spec.ts"
import type { RepetitionDetectionParams, SamplingParams } from "../../core/sampling-params.ts"
import { tokenizeBadWords } from "../../engine/bad-words.ts"
import type { BeamSearch, EngineClient } from "../../engine/engine-client.ts"
import { shapeError } from "../schema/parse.ts"
import type { SamplingFields } from "../schema/sampling-fields.ts"
import { thinkingBudget } from "./thinking-budget.ts"

const MIN_INT64 = -(2n ** 63n)
const MAX_INT64 = 2n ** 63n - 1n

/** What the two kinds of completions decide in their own ways. */
export interface SamplingChoices {
  /** What the request asks for; null is as many as fit. */
  readonly maxTokens: number | null
  /** The field that `maxTokens` came from. */
  readonly maxTokensField: "max_tokens" | "max_completion_tokens" | "max_output_tokens"
  /** Likeliest tokens to report with each output token, -1 for all; null none. */
  readonly logprobs: number | null
  /** Special tokens that are part of the text: what a parser looks for. */
  readonly keptTokenIds: readonly number[]
  /** What the text is held to; null: nothing. */
  readonly grammar: GrammarSpec | null
}

/** Everything but `maxTokens`, which depends on each prompt's length. */
export function samplingFor(fields: SamplingFields, choices: SamplingChoices, client: EngineClient): SamplingParams {
  const defaults = client.model.generationDefaults
  const ids = readLogprobTokenIds(fields, choices.logprobs)
  return {
    n: fields.n ?? 1,
    temperature: fields.temperature ?? defaults["temperature"] ?? 1,
    topP: fields.top_p ?? defaults["top_p"] ?? 1,
    topK: fields.top_k ?? defaults["top_k"] ?? 0,
    minP: fields.min_p ?? defaults["min_p"] ?? 0,
    presencePenalty: fields.presence_penalty ?? 0,
    frequencyPenalty: fields.frequency_penalty ?? 0,
    repetitionPenalty: fields.repetition_penalty ?? defaults["repetition_penalty"] ?? 1,
    seed: readSeed(fields.seed ?? null),
    stop: typeof fields.stop === "string" ? [fields.stop] : (fields.stop ?? []),
    stopTokenIds: fields.stop_token_ids ?? [],
    eosTokenId: client.model.eosTokenId,
    extraEosTokenIds: [...client.model.extraEosTokenIds],
    ignoreEos: fields.ignore_eos ?? false,
    includeStopStrInOutput: fields.include_stop_str_in_output ?? false,
    maxTokens: readMaxTokens(choices, client.model.maxModelLen, defaults["max_new_tokens"]),
    minTokens: fields.min_tokens ?? 0,
    logprobs: ids?.length ?? choices.logprobs,
    logprobTokenIds: ids,
    promptLogprobs: fields.prompt_logprobs ?? null,
    logitBias: readLogitBias(fields.logit_bias ?? null),
    allowedTokenIds: fields.allowed_token_ids ?? null,
    badWords: tokenizeBadWords(fields.bad_words ?? [], client.tokenizer),
    repetitionDetection: readRepetitionDetection(fields.repetition_detection ?? null),
    thinkingBudget: thinkingBudget(fields.thinking_token_budget ?? null, client.model),
    grammar: choices.grammar,
    extraArgs: readExtraArgs(fields.vllm_xargs ?? null, client),
    streamInterval: fields.stream_interval ?? 1,
    detokenize: true,
    skipSpecialTokens: fields.skip_special_tokens ?? true,
    keptTokenIds: [...choices.keptTokenIds],
    spacesBetweenSpecialTokens: fields.spaces_between_special_tokens ?? true,
  }
}

/** The parameters for one prompt, checked: `maxTokens` is what was asked for, cut to what the prompt leaves. */
export function fitSampling(
  sampling: SamplingParams, promptTokenIds: readonly number[], client: EngineClient,
  search: BeamSearch | null = null,
): SamplingParams {
  const room = client.model.maxModelLen - promptTokenIds.length
  // A prompt that leaves no room is refused by `validatePrompt`; 1 keeps the parameters well-formed until then.
  const fitted = { ...sampling, maxTokens: Math.min(sampling.maxTokens, Math.max(1, room)) }
  // An empty prompt can be shown: it is refused where it is to be answered.
  if (promptTokenIds.length > 0) client.validatePrompt(promptTokenIds, fitted)
  // Nothing is drawn in a beam search, so several texts are no contradiction to a temperature of 0.
  const isSearched = search !== null && fitted.temperature >= 0 && fitted.temperature < 1
  client.validateSampling(isSearched ? { ...fitted, temperature: 1 } : fitted)
  return fitted
}

/** A bound beyond the context is cut, not refused: clients send one that suits another model, and none is reached. */
function readMaxTokens(choices: SamplingChoices, maxModelLen: number, byDefault: number | undefined): number {
  const { maxTokens, maxTokensField: param } = choices
  if (maxTokens !== null && maxTokens < 1) {
    throw new RequestError(`${param} must be at least 1, got ${maxTokens}.`, { param })
  }
  return Math.min(maxTokens ?? byDefault ?? maxModelLen, maxModelLen)
}

/** -1 is vLLM's spelling for "none". */
function readSeed(seed: number | string | null): bigint | null {
  if (seed === null) return null
  const value = BigInt(seed)
  if (value < MIN_INT64 || value > MAX_INT64) {
    throw shapeError("body.seed", `Input should fit in a signed 64-bit integer, got ${value}`)
  }
  return value === -1n ? null : value
}

function readLogitBias(bias: Readonly<Record<string, number>> | null): Map<number, number> | null {
  if (bias === null) return null
  const wrong = Object.keys(bias).filter((key) => !/^\s*[+-]?\d{1,15}\s*$/.test(key))
  if (wrong.length > 0) {
    const shown = wrong.slice(0, 8).map((key) => JSON.stringify(key.slice(0, 40)))
    throw new RequestError(`logit_bias keys must be token ids, got ${shown.join(", ")}.`, { param: "logit_bias" })
  }
  return new Map(Object.entries(bias).map(([key, value]) => [Number(key), value]))
}

/** Errors: `RequestError` where no log-probabilities are asked for, or of another number of tokens. */
function readLogprobTokenIds(fields: SamplingFields, logprobs: number | null): number[] | null {
  const param = "logprob_token_ids"
  const ids = fields.logprob_token_ids ?? []
  if (ids.length === 0) return null
  if (logprobs === null) throw new RequestError(`${param} needs log-probabilities: set logprobs too.`, { param })
  if (logprobs !== 0 && logprobs !== ids.length) {
    throw new RequestError(`${param} has ${ids.length} token ids, but ${logprobs} likeliest are asked for.`, { param })
  }
  return ids
}

/** Errors: `RequestError` where nobody would read them. */
function readExtraArgs(args: SamplingFields["vllm_xargs"], { model }: EngineClient): SamplingParams["extraArgs"] {
  const param = "vllm_xargs"
  if (args === null || args === undefined || Object.keys(args).length === 0) return null
  if (model.logitsProcessors.length > 0) return args
  throw new RequestError(`${param} is for logits processors, and none was loaded: see --logits-processors.`, { param })
}

function readRepetitionDetection(
  fields: SamplingFields["repetition_detection"] | null,
): RepetitionDetectionParams | null {
  if (fields === null || fields === undefined) return null
  return {
    maxPatternSize: fields.max_pattern_size ?? 0,
    minPatternSize: fields.min_pattern_size ?? 0,
    minCount: fields.min_count ?? 0,
  }
}
