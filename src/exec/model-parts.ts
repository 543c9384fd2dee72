/** What a model is made of on a device, and how much memory that takes, found out by making it on a planning device. */
import type { KernelLibrary } from "../../ffi/library.ts"
import type { NativeStream } from "../../ffi/stream.ts"
import { ConfigError } from "../base/errors.ts"
import type { Forward } from "../model/architecture.ts"
import type { ModelConfig } from "../model/config.ts"
import { GraphBuilder, type KVLayer, type RopeTable } from "../model/graph-builder.ts"
import { applyHfOverrides } from "../model/hf-overrides.ts"
import type { ModelSource } from "../model/load/checkpoint.ts"
import { openModel } from "../model/load/open.ts"
import { computeOf } from "../model/quantization.ts"
import { readModelConfig } from "../model/read-config.ts"
import { buildCosSinTable } from "../model/rope.ts"
import { WeightMap } from "../model/weights.ts"
import { Device, PlanningDevice } from "../tensor/device.ts"
import type { EngineConfig } from "./engine-config.ts"
import { InputBatch, type BatchLimits } from "./input-batch.ts"
import { KVMemory, type KVCacheShape } from "./kv-cache.ts"
import type { LogitsProcessor } from "./logits-processors/interface.ts"
import { ModelRunner } from "./model-runner.ts"

/** A checkpoint with what its architecture makes of it; nothing is read into memory yet. */
export interface OpenModel {
  readonly source: ModelSource
  readonly config: ModelConfig
  readonly map: WeightMap
  readonly forward: Forward
  readonly compute: ReturnType<typeof computeOf>
}

/** Errors: `ConfigError`. */
export function openCheckpoint(engine: EngineConfig, library: KernelLibrary): OpenModel {
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

/** Weights, scratch, and the forward pass that is laid down over them: what sleep gives back. */
export interface ModelParts {
  readonly runner: ModelRunner
  dispose(): void
}

export interface PartsOptions {
  readonly maxModelLen: number
  readonly kv: readonly KVLayer[]
  readonly processors: readonly LogitsProcessor[]
}

/** Errors: `ConfigError`, `NativeError`; nothing but the KV cache is left allocated then. */
export function makeParts(engine: EngineConfig, model: OpenModel, device: Device, options: PartsOptions): ModelParts {
  const { map } = model
  try {
    map.load(device, model.compute)
    const runner = makeRunner(engine, model, device, options)
    const dispose = () => {
      runner.dispose()
      map.destroy()
      device.dispose()
    }
    return { runner, dispose }
  } catch (error) {
    map.destroy()
    device.dispose()
    throw error
  }
}

function makeRunner(
  engine: EngineConfig, { config, forward, source }: OpenModel, device: Device,
  { maxModelLen, kv, processors }: PartsOptions,
): ModelRunner {
  const limits = batchLimits(engine, device, maxModelLen)
  const batch = new InputBatch(device, limits)
  const builder = new GraphBuilder(device, batch.inputs, limits.maxTokens, engine.activationBits)
  const logits = device.matrix(limits.maxSamples, config.vocabSize, "F32")
  forward(builder, {
    config, logits, maxSamples: limits.maxSamples, kv,
    rope: ropeTable(device, config, {
      numPositions: maxModelLen, maxLength: longestWanted(engine, config), interleaved: source.ropeInterleaved,
    }),
  })
  const { logprobsMode } = engine
  return new ModelRunner(device, builder, batch, logits, { limits, logprobsMode, logitsProcessors: processors })
}

export interface PartsMemory {
  /** Of weights, with norms and biases. */
  readonly weightBytes: number
  /** Of all else that `makeParts` allocates. */
  readonly bufferBytes: number
  /** What the kernel library takes for itself while it runs. */
  readonly libraryBytes: number
}

/** What `makeParts` will take. Nothing is loaded, and nothing stays allocated. Errors: `ConfigError`, `NativeError`. */
export function planParts(
  engine: EngineConfig, model: OpenModel, stream: NativeStream, options: { maxModelLen: number; shape: KVCacheShape },
): PartsMemory {
  const device = new PlanningDevice(stream.library, stream)
  const kv = new KVMemory(new PlanningDevice(stream.library, stream), model.config, options.shape)
  stream.planBegin()
  let libraryBytes = 0
  try {
    model.map.load(device, model.compute)
    const vectorBytes = device.bytesAllocated
    const weightBytes = model.map.linearBytes + vectorBytes
    const { maxModelLen } = options
    makeRunner(engine, model, device, { maxModelLen, kv: kv.layers(1), processors: [] }).plan()
    libraryBytes = stream.planEnd()
    return { weightBytes, bufferBytes: device.bytesAllocated - vectorBytes, libraryBytes }
  } catch (error) {
    stream.planEnd()
    throw error
  } finally {
    model.map.destroy()
    device.dispose()
  }
}

function batchLimits(engine: EngineConfig, device: Device, maxModelLen: number): BatchLimits {
  return {
    maxTokens: engine.maxNumBatchedTokens, maxRequests: engine.maxNumSeqs, blockSize: engine.blockSize, maxModelLen,
    maxSamples: Math.min(device.traits.logitRows, engine.maxNumSeqs), maxSampleRows: engine.maxNumSeqs,
  }
}

/** What the user or the model asks for: memory may have room for less. */
export function longestWanted(engine: EngineConfig, config: ModelConfig): number {
  return engine.maxModelLen ?? config.maxModelLen
}

/** Errors: `ConfigError` where the library cannot hold the cache as asked. */
export function kvShape(engine: EngineConfig, library: KernelLibrary): KVCacheShape {
  const { kvTypes, blockMultiple } = library.traits()
  const isExact = engine.kvCacheDtype === "float32" || (engine.kvCacheDtype === "auto" && engine.dtype === "float32")
  const dtype = isExact ? "F32" : "BF16"
  if (!kvTypes.includes(dtype))
    throw new ConfigError(`--kv-cache-dtype: this backend has no ${dtype} cache; it has ${kvTypes.join(", ")}`)
  if (engine.blockSize % blockMultiple !== 0)
    throw new ConfigError(`--block-size ${engine.blockSize} must be a multiple of ${blockMultiple}`)
  return { blockSize: engine.blockSize, dtype }
}

function ropeTable(
  device: Device, config: ModelConfig,
  { numPositions, maxLength, interleaved }: { numPositions: number; maxLength: number; interleaved: boolean },
): RopeTable {
  const { rotDim } = config
  const table = device.constant(numPositions * rotDim, () =>
    buildCosSinTable(config.rope, config.headDim, rotDim, numPositions, maxLength))
  return { table, rotDim, numPositions, interleaved }
}
