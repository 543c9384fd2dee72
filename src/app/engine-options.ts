/** What the command line says of the engine. */
import { resolve } from "node:path"
import { bodyMemory } from "../api/http/parse-body.ts"
import type { Log } from "../base/log.ts"
import { DEFAULT_MODEL_NAME, findDefaultModel } from "../cli/default-model.ts"
import { locateLibraries } from "../cli/libraries.ts"
import { itlTargetMs, type ServeConfig } from "../cli/serve-options.ts"
import type { SchedulerStats } from "../core/scheduler-stats.ts"
import type { GenerateRequest } from "../engine/engine-client.ts"
import { StatsLog } from "../engine/stats-log.ts"
import type { EngineConfig, EngineStart } from "../exec/engine-config.ts"
import { resolveModel } from "../model/resolve.ts"
import { REASONING_FORMATS } from "../text/answer/reasoning-formats.ts"
import type { StartEngineOptions } from "./start-engine.ts"
import { TEXT_THREADS_BYTES } from "./start-text-threads.ts"

/** The engine's options and listeners by `config`. Errors: `ConfigError`. */
export function startOptions(config: ServeConfig, log: Log): StartEngineOptions {
  const modelPath = modelPathOf(config)
  const name = config.model ?? DEFAULT_MODEL_NAME
  return {
    engine: engineStart(config, modelPath), root: name, maxLogprobs: config.maxLogprobs,
    servedModelNames: config.servedModelName.length > 0 ? config.servedModelName : [name],
    tokenizerPath: config.tokenizer, chatTemplate: config.chatTemplate, generationConfig: config.generationConfig,
    overrideGenerationConfig: config.overrideGenerationConfig, limits: config,
    onNotice: (line, level) => log[level](line), seed: config.seed, streamInterval: config.streamInterval,
    reasoningConfig: { ...parserMarks(config), ...config.reasoningConfig },
    onRequest: (request) => config.enableLogRequests && logRequest(request, log),
    histogramBuckets: config.customHistogramBuckets,
    onStats: config.disableLogStats ? () => {} : statsListener(config.logStatsInterval, log),
  }
}

/** What the parser looks for is what reasoning begins and ends with, as `--reasoning-config` has it. */
function parserMarks({ reasoningParser }: ServeConfig): Readonly<Record<string, string>> {
  if (reasoningParser === "auto" || reasoningParser === "none") return {}
  const { starts, ends } = REASONING_FORMATS[reasoningParser]
  return { reasoning_start_str: starts[0]!, reasoning_end_str: ends[0]! }
}

function statsListener(intervalSeconds: number, log: Log): (stats: SchedulerStats) => void {
  const later = (seconds: number, callback: () => void) => void setTimeout(callback, seconds * 1000).unref()
  const lines = new StatsLog({ intervalSeconds, log, now: () => performance.now() / 1000, later })
  return (stats) => lines.record(stats)
}

/** The parameters; never the prompt, which is the user's. */
function logRequest(request: GenerateRequest, log: Log): void {
  const { requestId, promptTokenIds, priority, sampling } = request
  const shown = JSON.stringify(sampling, (_, value: unknown) => (typeof value === "bigint" ? String(value) : value))
  log.info("request", { requestId, promptTokens: promptTokenIds.length, priority, sampling: shown })
}

/** Errors: `ConfigError` where it is not there. */
export function modelPathOf(config: ServeConfig): string {
  return config.model === null ? findDefaultModel() : resolveModel(config.model)
}

/** The part of a config that an engine on this thread is loaded with. Errors: `ConfigError`. */
export function engineConfig(config: ServeConfig, modelPath: string): EngineConfig {
  return { ...engineStart(config, modelPath), libraries: locateLibraries(config.libDir) }
}

/** The part of a config that the engine's thread is started with. */
function engineStart(config: ServeConfig, modelPath: string): EngineStart {
  return {
    modelPath, hfOverrides: config.hfOverrides, dtype: config.dtype, quantization: config.quantization,
    kvCacheDtype: config.kvCacheDtype, activationBits: config.activationBits, blockSize: config.blockSize,
    maxModelLen: config.maxModelLen, maxNumBatchedTokens: config.maxNumBatchedTokens, maxNumSeqs: config.maxNumSeqs,
    schedulingPolicy: config.schedulingPolicy, priorityAgeingSeconds: config.priorityAgeingSeconds,
    speculation: config.speculativeConfig,
    maxItlMs: itlTargetMs(config), enablePrefixCaching: config.enablePrefixCaching,
    enableChunkedPrefill: config.enableChunkedPrefill, longPrefillTokenThreshold: config.longPrefillTokenThreshold,
    numBlocksOverride: config.numGpuBlocksOverride,
    kvCacheMetricsSample: config.kvCacheMetrics ? config.kvCacheMetricsSample : null,
    kvCacheMemoryBytes: config.kvCacheMemoryBytes,
    textBytes: bodyMemory(config.maxBodyBytes) + TEXT_THREADS_BYTES,
    memoryUtilization: config.gpuMemoryUtilization, numThreads: config.threads, isa: config.isa,
    logprobsMode: config.logprobsMode, logitsProcessors: config.logitsProcessors.map((path) => resolve(path)),
    libraries: { libDir: config.libDir },
  }
}
