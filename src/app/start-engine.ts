/**
 * Starts the engine: its thread loads the model while this one loads the tokenizer, then the front half goes on top.
 */
import { workerUrl } from "../base/embedded.ts"
import { Prng } from "../base/prng.ts"
import type { SchedulerStats } from "../core/scheduler-stats.ts"
import type { AdmissionLimits } from "../engine/admission.ts"
import { AsyncEngine } from "../engine/async-engine.ts"
import type { EngineClient, GenerateRequest, ModelInfo } from "../engine/engine-client.ts"
import type { EngineReady } from "../engine/engine-ready.ts"
import { checkGenerationDefaults } from "../engine/generation-defaults.ts"
import type { MetricBuckets } from "../engine/metric-buckets.ts"
import type { RandomSource } from "../engine/parallel-sampling.ts"
import { reasoningMarkers } from "../engine/reasoning-markers.ts"
import { EngineGrammars } from "./engine-grammars.ts"
import { WorkerPort, type NoticeListener } from "../engine/worker-port.ts"
import type { EngineStart } from "../exec/engine-config.ts"
import { loadText, type TextOptions } from "./load-text.ts"
import { eosNotice, sortEosIds } from "../model/eos-ids.ts"
import { readGenerationConfig, type GenerationConfig } from "../model/generation-config.ts"
import { applyHfOverrides } from "../model/hf-overrides.ts"
import type { ModelSource } from "../model/load/checkpoint.ts"
import { openModel } from "../model/load/open.ts"
import { readOnlyMapping } from "../model/load/read-only-mapping.ts"
import { readModelConfig } from "../model/read-config.ts"
import { ggufEndTokenIds } from "../text/gguf-end-tokens.ts"
import type { Tokenizer } from "../text/tokenizer.ts"

export interface StartEngineOptions extends TextOptions {
  readonly engine: EngineStart
  /** The first is the one responses carry. */
  readonly servedModelNames: readonly string[]
  /** What the user called the model. */
  readonly root: string
  readonly maxLogprobs: number
  /** "auto": the model's generation_config.json. "vllm": none. Else a directory that holds one. */
  readonly generationConfig: string
  readonly overrideGenerationConfig: Readonly<Record<string, unknown>>
  readonly limits: AdmissionLimits
  /** What the model's reasoning begins and ends with; empty to go by its vocabulary. */
  readonly reasoningConfig: Readonly<Record<string, unknown>>
  /** Tokens that a stream's output has at least. */
  readonly streamInterval: number
  /** Hears lines for the log: the memory plan, what makes the model worse, what goes wrong on the engine's thread. */
  readonly onNotice: NoticeListener
  /** Hears every request that is admitted. */
  readonly onRequest: (request: GenerateRequest) => void
  readonly onStats: (stats: SchedulerStats) => void
  readonly histogramBuckets: Partial<MetricBuckets>
  /** Of the requests that bring no seed; null draws one from the system for each. */
  readonly seed: number | null
}

/** Errors: `ConfigError` when the model, a flag or the machine does not fit; then nothing keeps running. */
export async function startEngine(options: StartEngineOptions): Promise<EngineClient> {
  const config = options.engine
  const warn = (line: string) => options.onNotice(line, "warning")
  const worker = new Worker(workerUrl("engine-worker.ts"))
  const port = new WorkerPort<EngineStart, EngineReady>(worker, config, options.onNotice)
  try {
    const source = openModel(config.modelPath, readOnlyMapping)
    const modelConfig = applyHfOverrides(source.config, config.hfOverrides)
    // The engine's thread reads it too. What is wrong with the model is told before what is wrong with its tokenizer.
    readModelConfig(modelConfig)
    const generation =
      readGenerationConfig(options.generationConfig, source.generationConfig, options.overrideGenerationConfig)
    checkGenerationDefaults(generation.defaults)
    const text = await loadText(options, source, warn)
    source.checkpoint.close()
    const ready = await port.ready
    ready.warnings.concat(missingEmbeddings(text.tokenizer, ready.vocabSize)).forEach(warn)
    const model = modelInfo(options, {
      source: { ...source, config: modelConfig }, generation, tokenizer: text.tokenizer, ready,
    })
    return new AsyncEngine({
      core: port, ...text, model,
      grammars: new EngineGrammars(port, text.tokenizer, model, maxMaskRows(config)),
      now: () => performance.now() / 1000, random: randomSource(options.seed), maxNumSeqs: config.maxNumSeqs,
      limits: options.limits, cacheConfig: cacheLabels(config, ready),
      onRequest: options.onRequest, streamInterval: options.streamInterval,
      onStats: options.onStats, histogramBuckets: options.histogramBuckets,
      hasResidency: (config.kvCacheMetricsSample ?? null) !== null,
    })
  } catch (error) {
    worker.terminate()
    throw error
  }
}

/** Rows that a step samples: its requests, and the positions after their drafts. */
function maxMaskRows({ maxNumSeqs, maxNumBatchedTokens, speculation }: EngineStart): number {
  return Math.min(maxNumBatchedTokens, maxNumSeqs * (1 + (speculation?.numTokens ?? 0)))
}

/** Tokenizers are often given a token that the embedding was not given a row for, for padding most of all. */
function missingEmbeddings(tokenizer: Tokenizer, vocabSize: number): string[] {
  const missing = tokenizer.vocabSize - vocabSize
  if (missing <= 0) return []
  const shown = Array.from({ length: Math.min(missing, 5) }, (_, i) => tokenizer.tokenString(vocabSize + i))
    .map((piece) => JSON.stringify(piece)).concat(missing > 5 ? "..." : [])
  return [
    `the tokenizer has ids from ${vocabSize} to ${tokenizer.vocabSize - 1} (${shown.join(", ")}), for which the ` +
      "model has no embedding: a text that needs one of them is refused",
  ]
}

function randomSource(seed: number | null): RandomSource {
  if (seed === null) return { uint64: () => crypto.getRandomValues(new BigUint64Array(1))[0]! }
  const prng = new Prng(seed)
  return { uint64: () => (BigInt(prng.uint32()) << 32n) | BigInt(prng.uint32()) }
}

interface Loaded {
  readonly source: ModelSource
  readonly generation: GenerationConfig
  readonly tokenizer: Tokenizer
  readonly ready: EngineReady
}

function modelInfo(options: StartEngineOptions, { source, generation, tokenizer, ready }: Loaded): ModelInfo {
  const { defaults, eosTokenIds } = generation
  const ends = source.ggufMetadata === null ? [] : ggufEndTokenIds(source.ggufMetadata)
  const named = [tokenizer.eosTokenId, ...configEosIds(source.config), ...eosTokenIds]
  const eos = sortEosIds([...named, ...ends.filter((id) => id < ready.vocabSize)], ready.vocabSize)
  const notice = eosNotice(eos, ready.vocabSize)
  if (notice !== null) options.onNotice(notice, "warning")
  const reasoning = reasoningMarkers(options.reasoningConfig, tokenizer, ready.vocabSize)
  const [eosTokenId = null, ...extraEosTokenIds] = eos.ids
  return {
    servedNames: options.servedModelNames, root: options.root, maxModelLen: ready.maxModelLen,
    vocabSize: ready.vocabSize, maxLogprobs: options.maxLogprobs, created: Math.floor(Date.now() / 1000),
    generationDefaults: defaults, eosTokenId, extraEosTokenIds, reasoning,
    logprobsMode: options.engine.logprobsMode, logitsProcessors: ready.logitsProcessors,
  }
}

function configEosIds(config: Readonly<Record<string, unknown>>): number[] {
  const value = config["eos_token_id"]
  return (Array.isArray(value) ? (value as unknown[]) : [value]).filter((id): id is number => typeof id === "number")
}

function cacheLabels(config: EngineStart, ready: EngineReady): Record<string, string | number | boolean | null> {
  return {
    block_size: ready.blockSize, cache_dtype: config.kvCacheDtype, enable_prefix_caching: config.enablePrefixCaching,
    gpu_memory_utilization: config.memoryUtilization, kv_cache_memory_bytes: config.kvCacheMemoryBytes,
    num_gpu_blocks: ready.numBlocks, num_gpu_blocks_override: config.numBlocksOverride,
    prefix_caching_hash_algo: "sha256", is_attention_free: false,
    kv_cache_size_tokens: ready.capacityTokens, kv_cache_max_concurrency: ready.maxConcurrency,
  }
}
