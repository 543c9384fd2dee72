/**
 * From a path to a model that runs: read, plan, load, lay the forward pass down.
 */
import { KernelLibrary } from "../../ffi/library.ts"
import { ConfigError } from "../base/errors.ts"
import type { KVCacheGroup } from "../core/kv/kv-spec.ts"
import { findArchitecture } from "../model/arch/index.ts"
import { ConfigReader, type ModelConfig } from "../model/config.ts"
import { GraphBuilder, type RopeTable } from "../model/graph-builder.ts"
import type { ModelSource } from "../model/load/checkpoint.ts"
import { openModel } from "../model/load/open.ts"
import { computeOf } from "../model/quantization.ts"
import { buildCosSinTable } from "../model/rope.ts"
import { WeightMap } from "../model/weights.ts"
import { Device } from "../tensor/device.ts"
import type { EngineConfig } from "./engine-config.ts"
import { InputBatch, type BatchLimits } from "./input-batch.ts"
import { allocateKVCache, bytesPerBlock, type KVCacheShape } from "./kv-cache.ts"
import { kvGroups } from "./kv-groups.ts"
import { planMemory, type MemoryPlan } from "./memory-plan.ts"
import { modelCost, type ModelCost } from "./model-cost.ts"
import { ModelRunner } from "./model-runner.ts"
import { systemMemory } from "./system-memory.ts"

/** Rows the output head takes at a time: logits are [rows, V]. */
const MAX_SAMPLE_ROWS = 32

export interface LoadedModel {
  readonly config: ModelConfig
  readonly groups: readonly KVCacheGroup[]
  readonly plan: MemoryPlan
  readonly runner: ModelRunner
  readonly device: Device
  readonly cost: ModelCost
  dispose(): void
}

/**
 * `onPlan` hears the memory plan before anything is loaded.
 * Errors: `ConfigError` for a model, a flag or a machine that does not fit; nothing is left allocated then.
 */
export function loadModel(engine: EngineConfig, onPlan: (plan: MemoryPlan) => void): LoadedModel {
  const library = KernelLibrary.open(engine.libraries.cpu)
  if (library.score() === 0) throw new ConfigError("this processor cannot run the CPU kernel library")
  const stream = library.createStream({ numThreads: engine.numThreads, isa: engine.isa })
  const device = new Device(library, stream)
  try {
    return load(engine, device, onPlan)
  } catch (error) {
    device.dispose()
    stream.destroy()
    throw error
  }
}

function load(engine: EngineConfig, device: Device, onPlan: (plan: MemoryPlan) => void): LoadedModel {
  const source = openModel(engine.modelPath, (path) => device.library.mapFile(path))
  try {
    return build(engine, device, source, onPlan)
  } finally {
    source.checkpoint.close()
  }
}

function build(
  engine: EngineConfig, device: Device, source: ModelSource, onPlan: (plan: MemoryPlan) => void,
): LoadedModel {
  const architecture = findArchitecture(source.config)
  const reader = new ConfigReader(source.config)
  const config = architecture.config(reader)
  reader.assertAllUnderstood()
  const map = new WeightMap(source.checkpoint)
  const forward = architecture.model(map, config)
  map.assertAllRead()

  const compute = computeOf(engine, map.linears)
  const shape: KVCacheShape = { blockSize: engine.blockSize, dtype: kvDtypeOf(engine) }
  const groups = kvGroups(config, shape)
  const plan = planMemory(engine, {
    weightBytes: map.plan(device, compute), scratchBytes: scratchBytes(engine, config), groups,
    bytesPerBlock: bytesPerBlock(device, config, shape), modelMaxLen: config.maxPositionEmbeddings,
  }, systemMemory())
  onPlan(plan)

  map.load(device, compute)
  const limits: BatchLimits = {
    maxTokens: engine.maxNumBatchedTokens, maxRequests: engine.maxNumSeqs, blockSize: engine.blockSize,
    maxModelLen: plan.maxModelLen, maxSamples: Math.min(MAX_SAMPLE_ROWS, engine.maxNumSeqs),
  }
  const batch = new InputBatch(device, limits)
  const builder = new GraphBuilder(device, batch.inputs, limits.maxTokens, engine.activationBits)
  const logits = device.matrix(limits.maxSamples, config.vocabSize)
  forward(builder, {
    config, logits, maxSamples: limits.maxSamples, kv: allocateKVCache(device, config, shape, plan.numBlocks),
    rope: ropeTable(device, config, plan.maxModelLen, source.ropeInterleaved),
  })
  const runner = new ModelRunner(device, builder, batch, logits, { limits, logprobsMode: engine.logprobsMode })
  const dispose = () => {
    runner.dispose()
    map.destroy()
    device.dispose()
    device.stream.destroy()
  }
  return { config, groups, plan, runner, device, cost: modelCost(config, map, shape.dtype), dispose }
}

function kvDtypeOf(engine: EngineConfig): "F32" | "BF16" {
  if (engine.kvCacheDtype !== "auto") return engine.kvCacheDtype === "float32" ? "F32" : "BF16"
  return engine.dtype === "float32" ? "F32" : "BF16"
}

function ropeTable(device: Device, config: ModelConfig, numPositions: number, interleaved: boolean): RopeTable {
  const { rotDim } = config
  const table = device.float32(numPositions * rotDim)
  table.data.set(buildCosSinTable(config.rope, config.headDim, rotDim, numPositions))
  return { table, rotDim, numPositions, interleaved }
}

/** What the buffers of `blocks.ts`, the logits and the rotary table take, for the plan. */
function scratchBytes(engine: EngineConfig, c: ModelConfig): number {
  const perToken = 2 * c.hiddenSize + (c.numHeads + 2 * c.numKvHeads) * c.headDim + 2 * c.intermediateSize
  const samples = Math.min(MAX_SAMPLE_ROWS, engine.maxNumSeqs)
  const positions = engine.maxModelLen ?? c.maxPositionEmbeddings
  return 4 * (perToken * engine.maxNumBatchedTokens + samples * (c.vocabSize + c.hiddenSize) + positions * c.headDim)
}
