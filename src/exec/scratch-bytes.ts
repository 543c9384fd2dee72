/**
 * The memory that a model needs beside its weights and its KV cache, for the plan: all that is allocated when it is
 * loaded, what the kernel library takes for itself while it runs, and the log-probabilities that are kept beside cached
 * prefixes. Nothing else grows afterwards.
 */
import { PROMPT_LOGPROBS_CACHE_BYTES } from "../core/scheduler-config.ts"
import type { ModelConfig } from "../model/config.ts"
import { InputBatch, type BatchLimits } from "./input-batch.ts"
import { ModelRunner } from "./model-runner.ts"

/** Bytes. `numThreads`: of the kernel library. */
export function scratchBytes(
  c: ModelConfig, limits: BatchLimits, options: { numThreads: number; enablePrefixCaching: boolean },
): number {
  return forwardBytes(c, limits) + InputBatch.bytes(limits) + ModelRunner.bytes(c.vocabSize, limits) +
    libraryBytes(c, limits, options.numThreads) + (options.enablePrefixCaching ? PROMPT_LOGPROBS_CACHE_BYTES : 0)
}

/** The buffers of `blocks.ts`, the logits and the rotary table. */
function forwardBytes(c: ModelConfig, { maxTokens, maxSamples, maxModelLen }: BatchLimits): number {
  const perToken = 2 * c.hiddenSize + (c.numHeads + 2 * c.numKvHeads) * c.headDim + 2 * c.intermediateSize
  return 4 * (perToken * maxTokens + maxSamples * (c.vocabSize + c.hiddenSize) + maxModelLen * c.headDim)
}

/** Keys whose partial result attention keeps, query vectors of such a result, and what all of them take at most. */
const CHUNK_KEYS = 512
const CHUNK_QUERIES = 32
const MAX_CHUNK_BYTES = 64 * 2 ** 20
/** Of a token of the vocabulary, in each thread that samples: a key, two weights and a logit. */
const SAMPLING_BYTES = 24
/** Of an activation on its way into a product: rounded to 16 bits, or levels with their scales. */
const ACTIVATION_BYTES = 4

/** The scratch of a stream is as large as its most demanding op needs. */
function libraryBytes(c: ModelConfig, { maxTokens, maxModelLen }: BatchLimits, numThreads: number): number {
  const numChunks = 2 * numThreads * Math.ceil(maxModelLen / CHUNK_KEYS)
  const attention = Math.min(MAX_CHUNK_BYTES, numChunks * CHUNK_QUERIES * (2 + c.headDim) * 4)
  const widest = Math.max(c.hiddenSize, c.intermediateSize, c.numHeads * c.headDim)
  return Math.max(attention, SAMPLING_BYTES * c.vocabSize * numThreads, ACTIVATION_BYTES * maxTokens * widest)
}
