/**
 * `baozi serve`: engine, then HTTP on top, until a signal or the engine's death ends it.
 */
import { resolve } from "node:path"
import { bodyMemory } from "./api/parse-body.ts"
import { checkAddress, startServer, type ServerOptions } from "./api/server.ts"
import type { TlsFiles } from "./api/tls.ts"
import { makeLog, type Log } from "./base/log.ts"
import { redirectConsole } from "./base/redirect-console.ts"
import { endProcess, stderr } from "./base/standard-streams.ts"
import { DEFAULT_MODEL_NAME, findDefaultModel } from "./cli/default-model.ts"
import { VERSION } from "./cli/index.ts"
import { locateLibraries } from "./cli/libraries.ts"
import { itlTargetMs, type ServeConfig } from "./cli/serve-options.ts"
import type { SchedulerStats } from "./core/scheduler-stats.ts"
import type { EngineClient, GenerateRequest } from "./engine/engine-client.ts"
import { StatsLog } from "./engine/stats-log.ts"
import type { EngineConfig, EngineStart } from "./exec/engine-config.ts"
import { resolveModel } from "./model/resolve.ts"
import { isLocal, serverInfo } from "./server-info.ts"
import { REASONING_FORMATS } from "./text/answer/reasoning-formats.ts"
import { chooseParsers } from "./text/answer/choose-parsers.ts"
import { startTraceExport } from "./trace-export.ts"
import { startEngine, type StartEngineOptions } from "./start-engine.ts"
import { startTextThreads, TEXT_THREADS_BYTES } from "./start-text-threads.ts"

/** What a program that Ctrl-C ended says. */
const EXIT_INTERRUPTED = 130

/** Resolves with the exit code. Errors: `ConfigError`. */
export async function serve(config: ServeConfig): Promise<number> {
  const startedMs = performance.now()
  const log = makeLog({ level: config.logLevel, json: config.logFormat === "json" })
  redirectConsole((level, line) => log[level](line))
  const signal = firstSignal(log)
  const http = serverOptions(config, log)
  await checkAddress(http)
  const engineOptions = startOptions(config, log)
  const loading = startEngine(engineOptions)
  const early = await Promise.race([loading.then(() => null), signal])
  if (early !== null) {
    // The thread that loads is in native code, and ends with the process.
    loading.catch(() => {})
    log.info(`stopping: ${early}, before the model was loaded`)
    return 0
  }
  const engine = await loading
  const { tokenizerPath, engine: { modelPath } } = engineOptions
  const textThreads = startTextThreads({ tokenizerPath, modelPath })
  const traces = startTraceExport({
    endpoint: config.otlpTracesEndpoint, version: VERSION, model: engine.model.servedNames[0] ?? engine.model.root,
    env: process.env, log,
  })
  const parsers = chooseParsers(config, engine)
  const server = await startServer({ ...http, ...parsers, textThreads, onRecord: traces.onRecord }, engine)
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(2)
  log.info(`ready in ${seconds} s: serving ${engine.model.servedNames.join(", ")} on ${server.url}, API pages at /docs`)
  log.info(`chats: tool calls are parsed as ${parsers.toolParser ?? "text"}, reasoning as ${
    parsers.reasoningParser ?? "text"}`)
  const reason = await untilTheEnd(engine, signal, log)
  const hasDied = engine.deathReason() !== null
  log[hasDied ? "error" : "info"](`stopping: ${reason}`)
  await engine.shutdown(config.shutdownTimeout * 1000)
  await server.stop()
  textThreads.texts.stop()
  textThreads.templates.stop()
  await traces.stop()
  return hasDied ? 1 : 0
}

/** The part of a config that concerns HTTP. */
export function serverOptions(config: ServeConfig, log: Log): ServerOptions {
  return {
    host: config.host, port: config.port, uds: config.uds, rootPath: config.rootPath, log,
    tls: tlsFiles(config), keepAliveSeconds: config.timeoutKeepAlive,
    apiKeys: config.apiKey, guardsEveryRoute: config.apiKeyEverywhere,
    cors: {
      allowedOrigins: config.allowedOrigins, allowCredentials: config.allowCredentials,
      allowedMethods: config.allowedMethods.length > 0 ? config.allowedMethods : ["*"],
      allowedHeaders: config.allowedHeaders.length > 0 ? config.allowedHeaders : ["*"],
    },
    allowedHosts: allowedHosts(config),
    enableRequestIdHeaders: config.enableRequestIdHeaders, sseKeepAliveMs: config.ssePingInterval * 1000,
    streamResume: { seconds: config.streamResumeSeconds, bytes: config.streamResumeBytes },
    responseStore: { maxResponses: config.maxStoredResponses, maxBytes: config.maxStoredResponseBytes },
    enablePerRequestMetrics: config.enablePerRequestMetrics, accessLog: !config.disableAccessLog,
    logsCacheMisses: config.logLevel === "debug",
    quietPaths: config.disableAccessLogForEndpoints,
    devMode: config.enableDevEndpoints ?? (config.apiKey.length > 0 || isLocal(config)),
    enableTokenizerInfo: config.enableTokenizerInfoEndpoint, serverInfo: serverInfo(config),
    excludeToolsWhenToolChoiceNone: config.excludeToolsWhenToolChoiceNone,
    maxBodyBytes: config.maxBodyBytes, requestLimits: config,
    bodyLimits: { maxDepth: config.maxBodyDepth, maxValues: config.maxBodyValues, maxNumbers: config.maxBodyNumbers },
    responseRole: config.responseRole,
    defaultChatTemplateKwargs: config.defaultChatTemplateKwargs,
    trustRequestChatTemplate: config.trustRequestChatTemplate, returnTokensAsTokenIds: config.returnTokensAsTokenIds,
    numDroppedLogLines: () => stderr.numDropped,
  }
}

/** Beside what was allowed: the name that the server was told to listen on. No browser reaches a Unix socket. */
function allowedHosts({ allowedHosts, host, uds }: ServeConfig): readonly string[] {
  return uds === null ? [...allowedHosts, host] : ["*"]
}

function tlsFiles({ sslCertfile, sslKeyfile, sslCaCerts }: ServeConfig): TlsFiles | null {
  return sslCertfile === null || sslKeyfile === null
    ? null
    : { certFile: sslCertfile, keyFile: sslKeyfile, caFile: sslCaCerts }
}

/** Resolves with what ends the server: a signal, or the engine's death; it is started again once. */
async function untilTheEnd(engine: EngineClient, signal: Promise<string>, log: Log): Promise<string> {
  const reason = await Promise.race([signal, engine.death])
  if (engine.deathReason() === null) return reason
  log.error(`${reason}. Its requests have failed; it is started again, this once`)
  const restarted = engine.restart().then(() => null, (error: Error) => `it cannot be started again: ${error.message}`)
  const failure = await Promise.race([signal, restarted])
  if (failure !== null) return failure
  log.info("the engine works again")
  return Promise.race([signal, engine.death])
}

/** The first signal asks for an orderly end; a second one ends the process at once. */
function firstSignal(log: Log): Promise<string> {
  return new Promise((resolve) => {
    let isStopping = false
    for (const name of ["SIGINT", "SIGTERM"] as const) {
      process.on(name, () => {
        if (isStopping) {
          log.warning(`${name} again: ending now`)
          return void endProcess(EXIT_INTERRUPTED)
        }
        isStopping = true
        resolve(name)
      })
    }
  })
}

/** What `config` says of the engine and of what is heard of it. Errors: `ConfigError`. */
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
