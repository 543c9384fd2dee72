import type { SchedulingPolicy } from "../core/request-queue.ts"
import type { HfOverrides } from "../model/hf-overrides.ts"
import type { Quantization } from "../model/quantization.ts"
import type { LogprobsMode } from "../core/logprobs-mode.ts"

/** Everything the back half of the engine needs to start; plain data, so that it can be sent to its thread. */
export interface EngineConfig {
  /** A directory in Hugging Face's layout, or a GGUF file. */
  readonly modelPath: string
  /** Keys that are set in config.json's place, or removed with null. */
  readonly hfOverrides: HfOverrides
  readonly dtype: "auto" | "float32" | "bfloat16" | "float16"
  /** Of a float checkpoint, when it is loaded; null: weights stay what they are. */
  readonly quantization: Quantization | null
  readonly kvCacheDtype: "auto" | "float32" | "bfloat16"
  /** Bits of the activations that meet int8 and int4 weights. */
  readonly activationBits: 8 | 12
  /** Tokens a KV block holds. */
  readonly blockSize: number
  /** Null: what the model allows, or less where the KV cache has no room for that. */
  readonly maxModelLen: number | null
  readonly maxNumBatchedTokens: number
  readonly maxNumSeqs: number
  readonly schedulingPolicy: SchedulingPolicy
  readonly priorityAgeingSeconds: number
  /** How long a step may keep running streams waiting, as a target; null: prompts fill the token budget. */
  readonly maxItlMs: number | null
  readonly enablePrefixCaching: boolean
  readonly enableChunkedPrefill: boolean
  readonly longPrefillTokenThreshold: number
  readonly numBlocksOverride: number | null
  /** Share of the KV blocks, in (0, 1], whose lives are measured; none without it. */
  readonly kvCacheMetricsSample?: number | null
  /** Null: a share of the memory that is free, see `memoryUtilization`. */
  readonly kvCacheMemoryBytes: number | null
  /**
   * Share, in (0, 1], of the machine's memory that weights, scratch, texts and KV cache may take; null: the careful
   * default.
   */
  readonly memoryUtilization: number | null
  /** What the texts of requests may take beside the engine. */
  readonly textBytes: number
  /** 0: as many as the processors this process may use. */
  readonly numThreads: number
  readonly isa: string | null
  readonly logprobsMode: LogprobsMode
  /** Modules of logits processors that every request passes through, in order. */
  readonly logitsProcessors: readonly string[]
  readonly libraries: LibraryFiles
}

/** A kernel library, and what to open before it. */
export interface LibraryFiles {
  readonly cpu: string
  readonly preload: readonly string[]
}

/**
 * What the engine's thread is started with. It finds the libraries itself where it is given the directory for them alone:
 * checking them takes a tenth of a second, in which the main thread reads the tokenizer.
 */
export interface EngineStart extends Omit<EngineConfig, "libraries"> {
  readonly libraries: LibraryFiles | { readonly libDir: string | null }
}
