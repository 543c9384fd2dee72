/** What a model is made of on a device, and how much memory that takes, found out by making it on a planning device. */
import { MappedFile } from "../../ffi/mapped-file.ts"
import type { KernelLibrary } from "../../ffi/library.ts"
import type { NativeStream } from "../../ffi/stream.ts"
import { ConfigError } from "../base/errors.ts"
import type { KVCacheGroup } from "../core/kv/kv-spec.ts"
import type { Forward } from "../model/architecture.ts"
import { ModelBuilder } from "../model/model-builder.ts"
import { applyHfOverrides } from "../model/hf-overrides.ts"
import type { ModelSource } from "../model/load/checkpoint.ts"
import { openModel } from "../model/load/open.ts"
import { computeOf } from "../model/quantization.ts"
import { readModelConfig } from "../model/read-config.ts"
import type { KVLayer, ModelTraits } from "../model/traits.ts"
import { WeightMap } from "../model/weights.ts"
import { Device, PlanningDevice } from "../tensor/device.ts"
import type { EngineConfig } from "./engine-config.ts"
import { InputBatch, type BatchLimits } from "./input-batch.ts"
import { KVMemory, type KVCacheShape } from "./kv-cache.ts"
import type { LogitsProcessor } from "./logits-processors/interface.ts"
import { modelCost, type ModelCost } from "./model-cost.ts"
import { ModelRunner } from "./model-runner.ts"

/** A checkpoint with what its architecture makes of it; nothing is read into memory yet. */
export interface OpenModel {
  readonly source: ModelSource
  /** Plain data: equal for equal models. */
  readonly config: unknown
  readonly traits: ModelTraits
  readonly map: WeightMap
  readonly forward: Forward
  readonly compute: ReturnType<typeof computeOf>
}

/** Errors: `ConfigError`. */
export function openCheckpoint(engine: EngineConfig, library: KernelLibrary): OpenModel {
  const source = openModel(engine.modelPath, (path) => MappedFile.open(library, path))
  try {
    const { architecture, config, traits, scheme } =
      readModelConfig(applyHfOverrides(source.config, engine.hfOverrides))
    const map = new WeightMap(source.checkpoint, scheme)
    const forward = architecture.model(map, config)
    map.assertAllRead()
    return { source, config, traits, map, forward, compute: computeOf(engine, map.linears) }
  } catch (error) {
    source.checkpoint.close()
    throw error
  }
}

/** Weights, scratch, and the forward pass that is laid down over them: what sleep gives back. */
export interface ModelParts {
  readonly runner: ModelRunner
  readonly cost: ModelCost
  dispose(): void
}

/** The KV cache, where it lies. */
export interface PlacedCache {
  readonly groups: readonly KVCacheGroup[]
  /** One for each layer that keeps something. */
  readonly layers: readonly KVLayer[]
}

export interface PartsOptions {
  readonly maxModelLen: number
  readonly cache: PlacedCache
  readonly processors: readonly LogitsProcessor[]
}

/** Errors: `ConfigError`, `NativeError`; nothing but the KV cache is left allocated then. */
export function makeParts(engine: EngineConfig, model: OpenModel, device: Device, options: PartsOptions): ModelParts {
  const { map } = model
  try {
    map.load(device, model.compute)
    const { runner, cost } = build(engine, model, device, options)
    const dispose = () => {
      runner.dispose()
      map.destroy()
      device.dispose()
    }
    return { runner, cost, dispose }
  } catch (error) {
    map.destroy()
    device.dispose()
    throw error
  }
}

function build(
  engine: EngineConfig, { traits, forward, source }: OpenModel, device: Device,
  { maxModelLen, cache, processors }: PartsOptions,
): { runner: ModelRunner; cost: ModelCost } {
  const limits = batchLimits(engine, device, { maxModelLen, groups: cache.groups })
  const { maxTokens, maxRequests, maxSamples } = limits
  const batch = new InputBatch(device, limits)
  const sizes = { tokens: maxTokens, requests: maxRequests, samples: maxSamples }
  const builder = new ModelBuilder(device, batch.inputs, { sizes, activationBits: engine.activationBits })
  const outputs = forward(builder, {
    kv: cache.layers, numPositions: maxModelLen, maxLength: longestWanted(engine, traits),
    ropeInterleaved: source.ropeInterleaved,
  })
  const { logprobsMode } = engine
  const model = builder.build(outputs)
  const runner = new ModelRunner(device, model, batch, { logprobsMode, logitsProcessors: processors })
  return { runner, cost: modelCost(model.costs) }
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
  engine: EngineConfig, model: OpenModel, stream: NativeStream,
  { maxModelLen, groups, shape }: { maxModelLen: number; groups: readonly KVCacheGroup[]; shape: KVCacheShape },
): PartsMemory {
  const device = new PlanningDevice(stream.library, stream)
  const kv = new KVMemory(new PlanningDevice(stream.library, stream), groups, shape)
  stream.planBegin()
  let libraryBytes = 0
  try {
    model.map.load(device, model.compute)
    const vectorBytes = device.allocated.device
    const weightBytes = model.map.linearBytes + vectorBytes
    const cache = { groups, layers: kv.layers(1) }
    build(engine, model, device, { maxModelLen, cache, processors: [] }).runner.plan()
    libraryBytes = stream.planEnd()
    const { device: deviceBytes, staging: stagingBytes } = device.allocated
    return { weightBytes, bufferBytes: deviceBytes + stagingBytes - vectorBytes, libraryBytes }
  } catch (error) {
    stream.planEnd()
    throw error
  } finally {
    model.map.destroy()
    device.dispose()
  }
}

function batchLimits(
  engine: EngineConfig, device: Device,
  { maxModelLen, groups }: { maxModelLen: number; groups: readonly KVCacheGroup[] },
): BatchLimits {
  const { maxNumSeqs, maxNumBatchedTokens, speculation } = engine
  const maxSampleRows = Math.min(maxNumBatchedTokens, maxNumSeqs * (1 + (speculation?.numTokens ?? 0)))
  return {
    maxTokens: engine.maxNumBatchedTokens, maxRequests: engine.maxNumSeqs, maxModelLen,
    groups: groups.map(({ spec }) => ({ blockSize: spec.blockSize, holdsState: spec.kind === "state" })),
    maxSamples: Math.min(device.traits.logitRows, maxSampleRows), maxSampleRows,
  }
}

/** What the user or the model asks for: memory may have room for less. */
export function longestWanted(engine: EngineConfig, traits: ModelTraits): number {
  return engine.maxModelLen ?? traits.maxModelLen
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
