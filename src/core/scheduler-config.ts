import { ConfigError } from "../base/errors.ts"
import type { SchedulingPolicy } from "./request-queue.ts"

/** Unless something else is asked for. */
export const PROMPT_LOGPROBS_CACHE_BYTES = 64 * 2 ** 20

/** Names and meanings are vLLM's; flags spell them in kebab case. */
export interface SchedulerConfig {
  /** The token budget: what one step computes at most, over all requests. */
  readonly maxNumBatchedTokens: number
  /** Requests running at once, at most. */
  readonly maxNumSeqs: number
  /** Tokens of one request, prompt and output, at most. */
  readonly maxModelLen: number
  readonly policy: SchedulingPolicy
  /** Under the priority policy: seconds of waiting that are worth a priority of one; 0 is none. */
  readonly priorityAgeingSeconds: number
  /** Off: a prompt is computed in one step or waits. */
  readonly enableChunkedPrefill: boolean
  /** Tokens of one request in one step, at most, while there are others; 0 is no such limit. */
  readonly longPrefillTokenThreshold: number
  /** Raises that limit to an equal share of the budget when few requests share it. */
  readonly longPrefillTokenThresholdAdaptive: boolean
  /** Embeddings that the encoder computes in one step, at most; 0 is no such limit. */
  readonly maxNumEncoderInputTokens: number
  /** Different adapters in one step, at most; 0 is no such limit. */
  readonly maxLoras: number
  /** Admit a request only if all its present tokens will find room. */
  readonly schedulerReserveFullIsl: boolean
  /** Share of the blocks, in [0, 1), that admission leaves free for the requests already running. */
  readonly watermark: number
  /** Memory for log-probabilities of prompt tokens that other requests may ask for again; 0 keeps none. */
  readonly promptLogprobsCacheBytes: number
}

/** The defaults, with `overrides`, checked. Throws ConfigError. */
export function makeSchedulerConfig(overrides: Partial<SchedulerConfig> & { maxModelLen: number }): SchedulerConfig {
  const config: SchedulerConfig = {
    maxNumBatchedTokens: 2048,
    maxNumSeqs: 128,
    policy: "fcfs",
    priorityAgeingSeconds: 0,
    enableChunkedPrefill: true,
    longPrefillTokenThreshold: 0,
    longPrefillTokenThresholdAdaptive: false,
    maxNumEncoderInputTokens: 0,
    maxLoras: 0,
    schedulerReserveFullIsl: true,
    watermark: 0,
    promptLogprobsCacheBytes: PROMPT_LOGPROBS_CACHE_BYTES,
    ...overrides,
  }
  checkSchedulerConfig(config)
  return config
}

function checkSchedulerConfig(config: SchedulerConfig): void {
  const { maxNumBatchedTokens, maxNumSeqs, maxModelLen, longPrefillTokenThreshold, watermark } = config
  const refuse = (flag: string, value: unknown, rule: string) => {
    throw new ConfigError(`--${flag} is ${value}, but must be ${rule}`)
  }
  const isCount = (value: number) => Number.isInteger(value) && value >= 1
  if (!isCount(maxModelLen)) refuse("max-model-len", maxModelLen, "an integer of at least 1")
  if (!isCount(maxNumSeqs)) refuse("max-num-seqs", maxNumSeqs, "an integer of at least 1")
  if (!isCount(maxNumBatchedTokens) || maxNumBatchedTokens < maxNumSeqs) {
    refuse("max-num-batched-tokens", maxNumBatchedTokens, `an integer of at least --max-num-seqs (${maxNumSeqs})`)
  }
  if (!config.enableChunkedPrefill && maxNumBatchedTokens < maxModelLen) {
    const rule = `at least --max-model-len (${maxModelLen}) where chunked prefill is off`
    refuse("max-num-batched-tokens", maxNumBatchedTokens, rule)
  }
  const isThreshold = Number.isInteger(longPrefillTokenThreshold) && longPrefillTokenThreshold >= 0
  if (!isThreshold || longPrefillTokenThreshold > maxModelLen) {
    const rule = `an integer from 0 to --max-model-len (${maxModelLen})`
    refuse("long-prefill-token-threshold", longPrefillTokenThreshold, rule)
  }
  const { maxNumEncoderInputTokens, maxLoras } = config
  const isLimit = (value: number) => Number.isInteger(value) && value >= 0
  if (!isLimit(maxLoras)) refuse("max-loras", maxLoras, "an integer of at least 0")
  if (!isLimit(maxNumEncoderInputTokens)) {
    refuse("max-num-encoder-input-tokens", maxNumEncoderInputTokens, "an integer of at least 0")
  }
  const { priorityAgeingSeconds } = config
  if (!(priorityAgeingSeconds >= 0 && Number.isFinite(priorityAgeingSeconds))) {
    refuse("priority-ageing-seconds", priorityAgeingSeconds, "a number of at least 0")
  }
  if (!(watermark >= 0 && watermark < 1)) refuse("watermark", watermark, "at least 0 and less than 1")
}
