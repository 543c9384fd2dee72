/**
 * Starts the engine: its thread loads the model while this one loads the tokenizer, then the front half goes on top.
 */
import { readFileSync } from "node:fs"
import { present } from "./base/assert.ts"
import { workerUrl } from "./base/embedded.ts"
import { ConfigError } from "./base/errors.ts"
import { Prng } from "./base/prng.ts"
import type { SchedulerStats } from "./core/scheduler-stats.ts"
import type { AdmissionLimits } from "./engine/admission.ts"
import { AsyncEngine } from "./engine/async-engine.ts"
import type { EngineClient, GenerateRequest, ModelInfo } from "./engine/engine-client.ts"
import type { EngineReady } from "./engine/engine-ready.ts"
import type { MetricBuckets } from "./engine/metric-buckets.ts"
import type { RandomSource } from "./engine/parallel-sampling.ts"
import { reasoningMarkers } from "./engine/reasoning-markers.ts"
import { WorkerPort } from "./engine/worker-port.ts"
import type { EngineStart } from "./exec/engine-config.ts"
import { readGenerationConfig } from "./model/generation-config.ts"
import type { ModelSource } from "./model/load/checkpoint.ts"
import { openModel } from "./model/load/open.ts"
import { readOnlyMapping } from "./model/load/read-only-mapping.ts"
import { ChatTemplate } from "./text/chat-template.ts"
import { findChatTemplate, findGgufChatTemplate } from "./text/find-chat-template.ts"
import type { Tokenizer } from "./text/tokenizer.ts"
import { loadTokenizer, tokenizerDirectory } from "./tokenizer-of.ts"

export interface StartEngineOptions {
  readonly engine: EngineStart
  /** The first is the one responses carry. */
  readonly servedModelNames: readonly string[]
  /** What the user called the model. */
  readonly root: string
  readonly maxLogprobs: number
  /** A directory with another tokenizer, or null for the model's own. */
  readonly tokenizerPath: string | null
  /** Another chat template, as a file or the text itself, or null for the model's own. */
  readonly chatTemplate: string | null
  /** "auto": the model's generation_config.json. "vllm": none. Else a directory that holds one. */
  readonly generationConfig: string
  readonly overrideGenerationConfig: Readonly<Record<string, unknown>>
  readonly limits: AdmissionLimits
  /** What the model's reasoning begins and ends with; empty to go by its vocabulary. */
  readonly reasoningConfig: Readonly<Record<string, unknown>>
  /** Tokens that a stream's output has at least. */
  readonly streamInterval: number
  /** Hears lines for the terminal: the memory plan. */
  readonly onNotice: (line: string) => void
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
  const worker = new Worker(workerUrl("engine-worker.ts"))
  const port = new WorkerPort<EngineStart, EngineReady>(worker, config, options.onNotice)
  try {
    const source = openModel(config.modelPath, readOnlyMapping)
    const text = await loadText(options, source)
    source.checkpoint.close()
    const ready = await port.ready
    if (text.tokenizer.vocabSize > ready.vocabSize)
      throw new ConfigError(
        `the tokenizer has ids up to ${text.tokenizer.vocabSize - 1}; ` +
          `the model's vocabulary ends at ${ready.vocabSize - 1}`,
      )
    return new AsyncEngine({
      core: port, ...text, model: modelInfo(options, source, text.tokenizer, ready),
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

function randomSource(seed: number | null): RandomSource {
  if (seed === null) return { uint64: () => crypto.getRandomValues(new BigUint64Array(1))[0]! }
  const prng = new Prng(seed)
  return { uint64: () => (BigInt(prng.uint32()) << 32n) | BigInt(prng.uint32()) }
}

function modelInfo(
  options: StartEngineOptions, source: ModelSource, tokenizer: Tokenizer, ready: EngineReady,
): ModelInfo {
  const { defaults, eosTokenIds } =
    readGenerationConfig(options.generationConfig, source.generationConfig, options.overrideGenerationConfig)
  const all = [...new Set([tokenizer.eosTokenId, ...configEosIds(source.config), ...eosTokenIds])]
  const reasoning = reasoningMarkers(options.reasoningConfig, tokenizer)
  const [eosTokenId = null, ...extraEosTokenIds] = all.filter((id) => id !== null)
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

async function loadText(
  options: StartEngineOptions, source: ModelSource,
): Promise<{ tokenizer: Tokenizer; chatTemplate: ChatTemplate | null }> {
  const directory = tokenizerDirectory(options.tokenizerPath, source)
  const tokenizer = await loadTokenizer(options.tokenizerPath, source)
  if (options.chatTemplate !== null)
    return { tokenizer, chatTemplate: ChatTemplate.parse(readTemplate(options.chatTemplate)) }
  const template = directory !== null
    ? findChatTemplate(directory)
    : findGgufChatTemplate(present(source.ggufMetadata, "metadata of a GGUF file"))
  return { tokenizer, chatTemplate: template === null ? null : ChatTemplate.parse(template) }
}

/** Text with Jinja's braces or a line break is a template; anything else names a file. */
function readTemplate(pathOrText: string): string {
  if (/\{[{%#]|\n/.test(pathOrText)) return pathOrText
  try {
    return readFileSync(pathOrText, "utf8")
  } catch (error) {
    throw new ConfigError(`--chat-template ${pathOrText}: ${(error as Error).message}`)
  }
}
