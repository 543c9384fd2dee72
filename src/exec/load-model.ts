/**
 * From a path to a model that runs: read, plan, load, lay the forward pass down.
 */
import { KernelLibrary } from "../../ffi/library.ts"
import { NativeStream } from "../../ffi/stream.ts"
import { assert } from "../base/assert.ts"
import { ConfigError } from "../base/errors.ts"
import type { KVCacheGroup } from "../core/kv/kv-spec.ts"
import { dependsOnTokens, type SamplingParams } from "../core/sampling-params.ts"
import type { SchedulePlan, StepResult } from "../core/schedule-plan.ts"
import { PROMPT_LOGPROBS_CACHE_BYTES } from "../core/scheduler-config.ts"
import type { TokenMasks } from "../core/token-masks.ts"
import type { ModelTraits } from "../model/traits.ts"
import { Device } from "../tensor/device.ts"
import type { EngineConfig } from "./engine-config.ts"
import { KVMemory, type KVCacheShape } from "./kv-cache.ts"
import { kvGroups } from "./kv-groups.ts"
import type { LogitsProcessor, MakeLogitsProcessor } from "./logits-processors/interface.ts"
import { planMemory, type MemoryPlan } from "./memory-plan.ts"
import type { ModelCost } from "./model-cost.ts"
import {
  kvShape, longestWanted, makeParts, openCheckpoint, planParts, type ModelParts, type OpenModel,
} from "./model-parts.ts"
import type { RunningStep } from "./model-runner.ts"
import type { PromptLogitsListener } from "./prompt-logprobs-reader.ts"
import { systemMemory } from "./system-memory.ts"

/** A model that runs, or sleeps: then the memory of its weights and its scratch is the system's, to be loaded again. */
export interface LoadedModel {
  readonly traits: ModelTraits
  readonly groups: readonly KVCacheGroup[]
  readonly plan: MemoryPlan
  readonly cost: ModelCost
  /** Names of the logits processors, in order. */
  readonly logitsProcessors: readonly string[]
  /** What the user should know of the checkpoint. */
  readonly warnings: readonly string[]
  /** Where it computes. */
  readonly stream: NativeStream
  /** Bytes held now: those of weights and scratch do not change while the model is awake. */
  memory(): ReturnType<NativeStream["memory"]>
  /** Steps that may be on their way at once. */
  readonly depth: number
  /** Whether the tokens of a request have to be known before its next step can be sampled. */
  waitsForHost(sampling: SamplingParams): boolean
  /** Errors: those of `ModelRunner`. Requires: awake, or an empty plan. */
  submit(plan: SchedulePlan): RunningStep
  /** `promptLogits` receives the logits of prompts whose log-probabilities the plan asks for. Errors: as `submit`. */
  sample(step: RunningStep, masks: TokenMasks | null, promptLogits?: PromptLogitsListener | null): void
  /** Errors: as `submit`. */
  collect(step: RunningStep): StepResult
  /** The three of them, one after the other. */
  execute(plan: SchedulePlan, promptLogits?: PromptLogitsListener | null): StepResult
  /** Errors: `NativeError`. */
  prepare(blockIds: readonly number[]): boolean
  /** At level 2 the KV cache goes too. */
  sleep(level: 1 | 2): void
  /** Errors: `ConfigError`, `NativeError`; it sleeps on then. */
  wake(): void
  dispose(): void
}

/**
 * `onPlan` is called with the memory plan before anything is loaded.
 * Errors: `ConfigError` for a model, a flag or a machine that does not fit; nothing is left allocated then.
 */
export function loadModel(
  engine: EngineConfig, onPlan: (plan: MemoryPlan) => void, makers: readonly MakeLogitsProcessor[] = [],
): LoadedModel {
  const library = KernelLibrary.open(engine.libraries.cpu)
  if (library.score() === 0) throw new ConfigError("this processor cannot run the CPU kernel library")
  const stream = NativeStream.create(library, { numThreads: engine.numThreads, isa: engine.isa })
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
  const first = openCheckpoint(engine, library)
  const { traits } = first
  try {
    refuseDrafts(engine, traits)
    const shape = kvShape(engine, library)
    const groups = kvGroups(traits, shape, library)
    const kv = new KVMemory(new Device(library, stream), groups, shape)
    const plan = planModel(engine, first, stream, { groups, shape, bytesPerBlock: kv.bytesPerBlock })
    onPlan(plan)
    const { maxModelLen } = plan
    const processors = makers.map((make) => make({ vocabSize: traits.vocabSize, maxModelLen }))
    const about = {
      traits, groups, plan, stream, logitsProcessors: processors.map(({ name }) => name),
      warnings: first.map.warnings,
    }
    return new WakefulModel(engine, first, { about, kv, processors })
  } finally {
    first.source.checkpoint.close()
  }
}

/** A state that has taken in a draft which is then rejected cannot be taken back. */
function refuseDrafts({ speculation }: EngineConfig, { memory }: ModelTraits): void {
  if (speculation !== null && memory.some(({ kind }) => kind === "state"))
    throw new ConfigError("--speculative-config: this model keeps a state, which cannot take rejected drafts back")
}

/** What does not change while the model sleeps. */
type AboutModel = Pick<LoadedModel, "traits" | "groups" | "plan" | "stream" | "logitsProcessors" | "warnings">

class WakefulModel implements LoadedModel {
  readonly traits: ModelTraits
  readonly groups: readonly KVCacheGroup[]
  readonly plan: MemoryPlan
  readonly cost: ModelCost
  readonly stream: NativeStream
  readonly depth: number
  readonly logitsProcessors: readonly string[]
  readonly warnings: readonly string[]
  readonly #engine: EngineConfig
  readonly #kv: KVMemory
  readonly #config: unknown
  readonly #processors: readonly LogitsProcessor[]
  /** Null: it sleeps. */
  #parts: ModelParts | null

  /** Errors: as `loadModel`. */
  constructor(
    engine: EngineConfig, model: OpenModel,
    { about, kv, processors }: { about: AboutModel; kv: KVMemory; processors: readonly LogitsProcessor[] },
  ) {
    this.traits = about.traits
    this.groups = about.groups
    this.plan = about.plan
    this.stream = about.stream
    this.depth = about.stream.library.traits().isAsync ? 2 : 1
    this.logitsProcessors = about.logitsProcessors
    this.warnings = about.warnings
    this.#engine = engine
    this.#kv = kv
    this.#config = model.config
    this.#processors = processors
    this.#parts = this.#make(model)
    this.cost = this.#parts.cost
  }

  waitsForHost(sampling: SamplingParams): boolean {
    return this.#processors.length > 0 || dependsOnTokens(sampling)
  }

  memory(): ReturnType<NativeStream["memory"]> {
    return this.stream.memory()
  }

  submit(plan: SchedulePlan): RunningStep {
    if (this.#parts !== null) return this.#parts.runner.submit(plan)
    assert(plan.requests.length === 0, "a model that sleeps was asked to compute")
    const result = { sampledTokenIds: new Map(), logprobs: new Map(), promptLogprobs: new Map() }
    return { plan, finite: null, rows: [], sampled: null, result }
  }

  sample(step: RunningStep, masks: TokenMasks | null, promptLogits: PromptLogitsListener | null = null): void {
    this.#parts?.runner.sample(step, masks, promptLogits)
  }

  collect(step: RunningStep): StepResult {
    return this.#parts?.runner.collect(step) ?? step.result
  }

  execute(plan: SchedulePlan, promptLogits: PromptLogitsListener | null = null): StepResult {
    const step = this.submit(plan)
    this.sample(step, null, promptLogits)
    return this.collect(step)
  }

  prepare(blockIds: readonly number[]): boolean {
    return this.#parts !== null && this.#kv.prepare(blockIds)
  }

  sleep(level: 1 | 2): void {
    this.#parts?.dispose()
    this.#parts = null
    if (level === 2) this.#kv.free()
  }

  wake(): void {
    if (this.#parts !== null) return
    checkRoom(this.plan, this.#kv.isAllocated ? 0 : this.plan.kvCacheBytes)
    const again = openCheckpoint(this.#engine, this.stream.library)
    try {
      if (!Bun.deepEquals(again.config, this.#config))
        throw new ConfigError(`${this.#engine.modelPath} holds another model by now`)
      this.#parts = this.#make(again)
    } finally {
      again.source.checkpoint.close()
    }
  }

  dispose(): void {
    this.sleep(2)
    this.stream.destroy()
  }

  #make(model: OpenModel): ModelParts {
    const { plan, stream } = this
    const hadCache = this.#kv.isAllocated
    try {
      stream.reserveScratch(plan.libraryBytes)
      const options = {
        maxModelLen: plan.maxModelLen, processors: this.#processors,
        cache: { groups: this.groups, layers: this.#kv.layers(plan.numBlocks) },
      }
      return makeParts(this.#engine, model, new Device(stream.library, stream), options)
    } catch (error) {
      if (!hadCache) this.#kv.free()
      throw error
    }
  }
}

/** Errors: `ConfigError` where it does not fit. */
function planModel(
  engine: EngineConfig, model: OpenModel, stream: NativeStream,
  cache: { groups: readonly KVCacheGroup[]; bytesPerBlock: number; shape: KVCacheShape },
): MemoryPlan {
  const { groups, bytesPerBlock, shape } = cache
  const { maxModelLen: modelMaxLen } = model.traits
  const longest = longestWanted(engine, model.traits)
  const needs = (maxModelLen: number) => ({
    ...planParts(engine, model, stream, { maxModelLen, groups, shape }), groups, bytesPerBlock, modelMaxLen,
    promptLogprobsBytes: engine.enablePrefixCaching ? PROMPT_LOGPROBS_CACHE_BYTES : 0,
  })
  const system = systemMemory()
  const plan = planMemory(engine, needs(longest), system)
  if (plan.maxModelLen === longest) return plan
  // Shorter requests need less beside the cache: what is planned is what will be allocated.
  const { weightBytes, scratchBytes, libraryBytes } = planMemory(engine, needs(plan.maxModelLen), system)
  return { ...plan, weightBytes, scratchBytes, libraryBytes }
}

/** Errors: `ConfigError` when others have taken the memory meanwhile. */
function checkRoom({ weightBytes, scratchBytes }: MemoryPlan, kvBytes: number): void {
  const needed = weightBytes + scratchBytes + kvBytes
  const { availableBytes } = systemMemory()
  if (needed <= availableBytes) return
  throw new ConfigError(`waking up needs ${needed} bytes of memory; ${availableBytes} are available`)
}
