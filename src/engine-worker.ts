/**
 * The engine's thread: loads the model, then answers the main thread's messages. Wires core, exec and the loop.
 */
import { assert, unreachable } from "./base/assert.ts"
import { ConfigError, isOperational } from "./base/errors.ts"
import type { LogLevel } from "./base/log.ts"
import { redirectConsole } from "./base/redirect-console.ts"
import { locateLibraries } from "./cli/libraries.ts"
import { Speculator } from "./core/draft/speculator.ts"
import { BlockResidency } from "./core/kv/block-residency.ts"
import { makeSchedulerConfig } from "./core/scheduler-config.ts"
import { Scheduler } from "./core/scheduler.ts"
import { EngineCore } from "./engine/engine-core.ts"
import type { EngineReady } from "./engine/engine-ready.ts"
import { OutputEncoder } from "./engine/output-codec.ts"
import { StepPacer } from "./engine/step-pacer.ts"
import type { FromWorker, ToWorker } from "./engine/worker-protocol.ts"
import { GrammarFollower } from "./grammar/grammar-follower.ts"
import type { MaskMemory } from "./grammar/protocol.ts"
import type { EngineStart } from "./exec/engine-config.ts"
import { loadModel, type LoadedModel } from "./exec/load-model.ts"
import { loadLogitsProcessors } from "./exec/logits-processors/load.ts"
import { describePlan } from "./exec/memory-plan.ts"
import { preloadLibraries } from "../ffi/preload.ts"

declare const self: Worker

let model: LoadedModel | null = null
let core: EngineCore | null = null
let grammars = new GrammarFollower()

function post(message: FromWorker<EngineReady>): void {
  self.postMessage(message)
}

function notice(level: LogLevel, lines: readonly string[]): void {
  post({ type: "notice", level, lines })
}

function die(error: unknown): void {
  const message = error instanceof Error ? error.message : String(error)
  const isConfigError = error instanceof ConfigError
  if (!isConfigError && error instanceof Error) notice("error", (error.stack ?? message).split("\n"))
  post({ type: "dead", message, isConfigError })
}

/** A start that failed: what is not a mistake of ours is told by its words alone. */
function refuse(error: unknown): void {
  die(isOperational(error) ? new ConfigError(error.message) : error)
}

/** The first start, or one after the engine's death. */
async function start({ libraries: choice, ...rest }: EngineStart): Promise<void> {
  core?.stop()
  model?.dispose()
  core = model = null
  const config = { ...rest, libraries: "libDir" in choice ? locateLibraries(choice.libDir) : choice }
  preloadLibraries(config.libraries.preload)
  const processors = await loadLogitsProcessors(config.logitsProcessors)
  const loaded = loadModel(config, (plan) => notice("info", describePlan(plan)), processors)
  model = loaded
  const { plan, groups } = loaded
  const schedulerConfig = makeSchedulerConfig({
    maxModelLen: plan.maxModelLen, maxNumBatchedTokens: config.maxNumBatchedTokens, maxNumSeqs: config.maxNumSeqs,
    policy: config.schedulingPolicy, priorityAgeingSeconds: config.priorityAgeingSeconds,
    enableChunkedPrefill: config.enableChunkedPrefill,
    longPrefillTokenThreshold: config.longPrefillTokenThreshold,
  })
  const kv = { numBlocks: plan.numBlocks, groups, enablePrefixCaching: config.enablePrefixCaching }
  const clock = () => performance.now() / 1000
  const share = config.kvCacheMetricsSample ?? null
  const watching = share === null ? {} : { residency: new BlockResidency(share, clock) }
  const scheduler = new Scheduler(schedulerConfig, kv, { clock, ...watching })
  const encoder = new OutputEncoder()
  grammars = new GrammarFollower()
  core = new EngineCore({
    pacer: config.maxItlMs === null ? null : new StepPacer(config.maxItlMs / 1000),
    grammars,
    speculator: config.speculation === null ? null : new Speculator(config.speculation),
    scheduler, runner: loaded, clock, yieldThen: setImmediate,
    emit: ({ outputs, ...rest }) => post({ type: "outputs", batch: { ...rest, outputs: encoder.encode(outputs) } }),
    onError: die,
  })
  post({
    type: "ready",
    ready: {
      maxModelLen: plan.maxModelLen, vocabSize: loaded.traits.vocabSize, numBlocks: plan.numBlocks,
      blockSize: plan.blockSize, capacityTokens: plan.capacityTokens, maxConcurrency: plan.maxConcurrency,
      logitsProcessors: loaded.logitsProcessors, warnings: loaded.warnings,
    },
  })
  core.start()
}

async function call(message: Extract<ToWorker<EngineStart>, { type: "call" }>): Promise<void> {
  try {
    assert(core !== null, "a call before the engine is ready")
    post({ type: "result", callId: message.callId, value: await core.call(message.name, message.args as [never]) })
  } catch (error) {
    post({ type: "failed", callId: message.callId, message: (error as Error).message })
  }
}

function receive(message: ToWorker<EngineStart>): void {
  switch (message.type) {
    case "start":
      return void start(message.config).catch(refuse)
    case "add":
      return core?.add(message.requests)
    case "grammars":
      return grammars.connect(message.port, message.masks as MaskMemory)
    case "abort":
      return core?.abort(message.requestIds)
    case "call":
      return void call(message)
    case "close":
      core?.stop()
      model?.dispose()
      return post({ type: "closed" })
    default:
      return unreachable(message)
  }
}

// Logits processors are other people's, and may print.
redirectConsole((level, line) => notice(level, [line]))

self.onmessage = (event: MessageEvent<ToWorker<EngineStart>>) => {
  try {
    receive(event.data)
  } catch (error) {
    die(error)
  }
}
