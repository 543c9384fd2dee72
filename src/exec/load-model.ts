/**
 * From a path to a model that runs: read, plan, load, lay the forward pass down.
 */
import { KernelLibrary, type NativeStream } from "../../ffi/library.ts"
import { assert } from "../base/assert.ts"
import { ConfigError } from "../base/errors.ts"
import type { KVCacheGroup } from "../core/kv/kv-spec.ts"
import type { SchedulePlan, StepResult } from "../core/schedule-plan.ts"
import type { Forward } from "../model/architecture.ts"
import type { ModelConfig } from "../model/config.ts"
import { GraphBuilder, type KVLayer, type RopeTable } from "../model/graph-builder.ts"
import type { ModelSource } from "../model/load/checkpoint.ts"
import { applyHfOverrides } from "../model/hf-overrides.ts"
import { openModel } from "../model/load/open.ts"
import { computeOf } from "../model/quantization.ts"
import { readModelConfig } from "../model/read-config.ts"
import { buildCosSinTable } from "../model/rope.ts"
import { WeightMap } from "../model/weights.ts"
import { Device } from "../tensor/device.ts"
import type { EngineConfig } from "./engine-config.ts"
import { InputBatch, type BatchLimits } from "./input-batch.ts"
import { bytesPerBlock, KVMemory, type KVCacheShape } from "./kv-cache.ts"
import { kvGroups } from "./kv-groups.ts"
import type { LogitsProcessor, MakeLogitsProcessor } from "./logits-processors/interface.ts"
import { planMemory, type MemoryPlan } from "./memory-plan.ts"
import { modelCost, type ModelCost } from "./model-cost.ts"
import { ModelRunner } from "./model-runner.ts"
import type { PromptLogitsListener } from "./prompt-logprobs-reader.ts"
import { scratchBytes } from "./scratch-bytes.ts"
import { systemMemory } from "./system-memory.ts"

/** Rows the output head takes at a time: logits are [rows, V]. */
const MAX_SAMPLE_ROWS = 32

/** A model that runs, or sleeps: then the memory of its weights and its scratch is the system's, to be loaded again. */
export interface LoadedModel {
  readonly config: ModelConfig
  readonly groups: readonly KVCacheGroup[]
  readonly plan: MemoryPlan
  readonly cost: ModelCost
  /** Names of the logits processors, in order. */
  readonly logitsProcessors: readonly string[]
  /** What the user should know of the checkpoint. */
  readonly warnings: readonly string[]
  /** Where it computes. */
  readonly stream: NativeStream
  /** Of weights and scratch, outside of the kernel library; it does not change while the model is awake. */
  bytesAllocated(): number
  /**
   * `promptLogits` receives the logits of prompts whose log-probabilities the plan asks for.
   * Errors: those of `ModelRunner.execute`. Requires: awake, or an empty plan.
   */
  execute(plan: SchedulePlan, promptLogits?: PromptLogitsListener): StepResult
  /** Errors: `NativeError`. */
  prepare(blockIds: readonly number[]): boolean
  /** At level 2 the KV cache goes too. */
  sleep(level: 1 | 2): void
  /** Errors: `ConfigError`, `NativeError`; it sleeps on then. */
  wake(): void
  dispose(): void
}

/**
 * `onPlan` hears the memory plan before anything is loaded.
 * Errors: `ConfigError` for a model, a flag or a machine that does not fit; nothing is left allocated then.
 */
export function loadModel(
  engine: EngineConfig, onPlan: (plan: MemoryPlan) => void, makers: readonly MakeLogitsProcessor[] = [],
): LoadedModel {
  const library = KernelLibrary.open(engine.libraries.cpu)
  if (library.score() === 0) throw new ConfigError("this processor cannot run the CPU kernel library")
  const stream = library.createStream({ numThreads: engine.numThreads, isa: engine.isa })
  try {
    return load(engine, library, stream, { onPlan, makers })
  } catch (error) {
    stream.destroy()
    throw error
  }
}

function load(
  engine: EngineConfig, library: KernelLibrary, stream: NativeStream,
  { onPlan, makers }: { onPlan: (plan: MemoryPlan) => void; makers: readonly MakeLogitsProcessor[] },
): LoadedModel {
  const first = open(engine, library)
  const { config } = first
  const shape: KVCacheShape = { blockSize: engine.blockSize, dtype: kvDtypeOf(engine) }
  const groups = kvGroups(config, shape)
  let plan: MemoryPlan
  const kv = new KVMemory(new Device(library, stream), config, shape)
  let parts: ModelParts | null
  let processors: readonly LogitsProcessor[]
  try {
    const device = new Device(library, stream)
    const most = batchLimits(engine, longestWanted(engine, config))
    const numThreads = engine.numThreads || Number(library.info()["cores"])
    const { enablePrefixCaching } = engine
    plan = planMemory(engine, {
      weightBytes: first.map.plan(device, first.compute), groups,
      scratchBytes: scratchBytes(config, most, { numThreads, enablePrefixCaching }),
      bytesPerBlock: bytesPerBlock(device, config, shape), modelMaxLen: config.maxModelLen,
    }, systemMemory())
    onPlan(plan)
    const { maxModelLen } = plan
    processors = makers.map((make) => make({ vocabSize: config.vocabSize, maxModelLen }))
    parts = assemble(engine, first, { device, plan, processors, kv: kv.layers(plan.numBlocks) })
  } catch (error) {
    kv.free()
    throw error
  } finally {
    first.source.checkpoint.close()
  }

  const sleep = (level: 1 | 2): void => {
    parts?.dispose()
    parts = null
    if (level === 2) kv.free()
  }
  const wake = (): void => {
    if (parts !== null) return
    checkRoom(plan, kv.isAllocated ? 0 : plan.kvCacheBytes)
    const again = open(engine, library)
    try {
      if (!Bun.deepEquals(again.config, config)) throw new ConfigError(`${engine.modelPath} holds another model by now`)
      const device = new Device(library, stream)
      again.map.plan(device, again.compute)
      parts = assemble(engine, again, { device, plan, processors, kv: kv.layers(plan.numBlocks) })
    } finally {
      again.source.checkpoint.close()
    }
  }
  const execute = (steps: SchedulePlan, promptLogits?: PromptLogitsListener): StepResult => {
    if (parts !== null) return parts.runner.execute(steps, promptLogits)
    assert(steps.requests.length === 0, "a model that sleeps was asked to compute")
    return { sampledTokenIds: new Map(), logprobs: new Map(), promptLogprobs: new Map() }
  }
  const bytesAllocated = (): number => parts?.device.bytesAllocated ?? 0
  const prepare = (blockIds: readonly number[]): boolean => parts !== null && kv.prepare(blockIds)
  const dispose = (): void => {
    sleep(2)
    stream.destroy()
  }
  const cost = modelCost(config, first.map, shape.dtype)
  const logitsProcessors = processors.map(({ name }) => name)
  const { warnings } = first.map
  return {
    config, groups, plan, cost, logitsProcessors, warnings, stream, bytesAllocated, execute, prepare, sleep, wake,
    dispose,
  }
}

/** Errors: `ConfigError` when others have taken the memory meanwhile. */
function checkRoom({ weightBytes, scratchBytes }: MemoryPlan, kvBytes: number): void {
  const needed = weightBytes + scratchBytes + kvBytes
  const { availableBytes } = systemMemory()
  if (needed <= availableBytes) return
  throw new ConfigError(`waking up needs ${needed} bytes of memory; ${availableBytes} are available`)
}

/** A checkpoint with what its architecture makes of it; nothing is read into memory yet. */
interface OpenModel {
  readonly source: ModelSource
  readonly config: ModelConfig
  readonly map: WeightMap
  readonly forward: Forward
  readonly compute: ReturnType<typeof computeOf>
}

function open(engine: EngineConfig, library: KernelLibrary): OpenModel {
  const source = openModel(engine.modelPath, (path) => library.mapFile(path))
  try {
    const { architecture, config } = readModelConfig(applyHfOverrides(source.config, engine.hfOverrides))
    const map = new WeightMap(source.checkpoint)
    const forward = architecture.model(map, config)
    map.assertAllRead()
    return { source, config, map, forward, compute: computeOf(engine, map.linears) }
  } catch (error) {
    source.checkpoint.close()
    throw error
  }
}

/** What sleep gives back: weights, scratch, and the forward pass that is laid down over them. */
interface ModelParts {
  readonly runner: ModelRunner
  readonly device: Device
  dispose(): void
}

interface Place {
  readonly device: Device
  readonly plan: MemoryPlan
  readonly kv: readonly KVLayer[]
  readonly processors: readonly LogitsProcessor[]
}

/** Errors: as `loadModel`; nothing but the KV cache is left allocated then. */
function assemble(engine: EngineConfig, model: OpenModel, { device, plan, kv, processors }: Place): ModelParts {
  const { config, map } = model
  try {
    map.load(device, model.compute)
    const limits = batchLimits(engine, plan.maxModelLen)
    const batch = new InputBatch(device, limits)
    const builder = new GraphBuilder(device, batch.inputs, limits.maxTokens, engine.activationBits)
    const logits = device.matrix(limits.maxSamples, config.vocabSize)
    model.forward(builder, {
      config, logits, maxSamples: limits.maxSamples, kv,
      rope: ropeTable(device, config, {
        numPositions: plan.maxModelLen, maxLength: longestWanted(engine, config),
        interleaved: model.source.ropeInterleaved,
      }),
    })
    const { logprobsMode } = engine
    const options = { limits, logprobsMode, logitsProcessors: processors }
    const runner = new ModelRunner(device, builder, batch, logits, options)
    const dispose = () => {
      runner.dispose()
      map.destroy()
      device.dispose()
    }
    return { runner, device, dispose }
  } catch (error) {
    map.destroy()
    device.dispose()
    throw error
  }
}

function batchLimits(engine: EngineConfig, maxModelLen: number): BatchLimits {
  return {
    maxTokens: engine.maxNumBatchedTokens, maxRequests: engine.maxNumSeqs, blockSize: engine.blockSize, maxModelLen,
    maxSamples: Math.min(MAX_SAMPLE_ROWS, engine.maxNumSeqs),
  }
}

function kvDtypeOf(engine: EngineConfig): "F32" | "BF16" {
  if (engine.kvCacheDtype !== "auto") return engine.kvCacheDtype === "float32" ? "F32" : "BF16"
  return engine.dtype === "float32" ? "F32" : "BF16"
}

/** What the user or the model asks for: memory may have room for less. */
function longestWanted(engine: EngineConfig, config: ModelConfig): number {
  return engine.maxModelLen ?? config.maxModelLen
}

function ropeTable(
  device: Device, config: ModelConfig,
  { numPositions, maxLength, interleaved }: { numPositions: number; maxLength: number; interleaved: boolean },
): RopeTable {
  const { rotDim } = config
  const table = device.float32(numPositions * rotDim)
  table.data.set(buildCosSinTable(config.rope, config.headDim, rotDim, numPositions, maxLength))
  return { table, rotDim, numPositions, interleaved }
}
