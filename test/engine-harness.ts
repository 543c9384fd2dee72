import { existsSync } from "node:fs"
import { dirname, join } from "node:path"
import { locateLibraries } from "../src/cli/libraries.ts"
import { Request } from "../src/core/request.ts"
import { defaultSamplingParams, type SamplingParams } from "../src/core/sampling-params.ts"
import type { RequestFailure, TokenLogprobs } from "../src/core/schedule-plan.ts"
import { Speculator } from "../src/core/draft/speculator.ts"
import { makeSchedulerConfig } from "../src/core/scheduler-config.ts"
import { Scheduler } from "../src/core/scheduler.ts"
import { StepPipeline } from "../src/engine/step-pipeline.ts"
import type { EngineConfig } from "../src/exec/engine-config.ts"
import type { MakeLogitsProcessor } from "../src/exec/logits-processors/interface.ts"
import { loadModel, type LoadedModel } from "../src/exec/load-model.ts"

export interface Generated {
  readonly tokenIds: number[]
  failure: RequestFailure | null
  readonly logprobs: TokenLogprobs[]
  promptLogprobs: readonly TokenLogprobs[] | null
  numCachedTokens: number
}

/** A model and a scheduler on this thread: the engine without its threads, for tests that look at tokens. */
export class TestEngine {
  readonly model: LoadedModel
  readonly scheduler: Scheduler
  readonly #pipeline: StepPipeline
  readonly #drafts: boolean
  /** Of all steps. */
  numAcceptedDrafts = 0
  #nextId = 0

  constructor(
    modelPath: string, overrides: Partial<EngineConfig> = {}, processors: readonly MakeLogitsProcessor[] = [],
  ) {
    const config = engineConfig(modelPath, overrides)
    this.model = loadModel(config, () => {}, processors)
    const { plan, groups } = this.model
    this.scheduler = new Scheduler(
      makeSchedulerConfig({
        maxModelLen: plan.maxModelLen, maxNumBatchedTokens: config.maxNumBatchedTokens, maxNumSeqs: config.maxNumSeqs,
        policy: config.schedulingPolicy, enableChunkedPrefill: config.enableChunkedPrefill,
        longPrefillTokenThreshold: config.longPrefillTokenThreshold,
      }),
      { numBlocks: plan.numBlocks, groups, enablePrefixCaching: config.enablePrefixCaching },
      { clock: () => 0 },
    )
    const { speculation } = config
    this.#drafts = speculation !== null
    const speculator = speculation === null ? null : new Speculator(speculation)
    this.#pipeline = new StepPipeline(this.scheduler, this.model, () => 0, { speculator })
  }

  /** Runs all prompts at once to their ends. `sampling`: of all of them, or one entry each. */
  generate(
    prompts: readonly (readonly number[])[],
    sampling: Partial<SamplingParams> | readonly Partial<SamplingParams>[] = {},
  ): Generated[] {
    const results = new Map<string, Generated>()
    for (const [i, promptTokenIds] of prompts.entries()) {
      const requestId = `r${this.#nextId++}`
      results.set(requestId, { tokenIds: [], failure: null, logprobs: [], promptLogprobs: null, numCachedTokens: 0 })
      const own = Array.isArray(sampling) ? (sampling[i] as Partial<SamplingParams>) : sampling
      const params = defaultSamplingParams({ temperature: 0, ignoreEos: true, ...own })
      const waitsForHost = this.#drafts || this.model.waitsForHost(params)
      this.scheduler.addRequest(
        new Request({ requestId, promptTokenIds, sampling: params, arrivalTime: 0, waitsForHost }))
    }
    while (this.#pipeline.hasWork) this.#step(results)
    return [...results.values()]
  }

  dispose(): void {
    this.model.dispose()
  }

  #step(results: Map<string, Generated>): void {
    for (const output of this.#pipeline.advance()?.outputs ?? []) {
      const result = results.get(output.requestId)!
      result.tokenIds.push(...output.newTokenIds)
      this.numAcceptedDrafts += output.draft?.numAccepted ?? 0
      result.logprobs.push(...(output.logprobs ?? []))
      result.promptLogprobs ??= output.promptLogprobs
      result.failure ??= output.failure ?? null
      if (output.prefillStats !== null) result.numCachedTokens = output.prefillStats.numCachedTokens
    }
  }
}

/** The CPU's, or with BAOZI_TEST_BACKEND=async the one that defers everything. */
const isAsync = process.env["BAOZI_TEST_BACKEND"] === "async"

function testLibraries(): EngineConfig["libraries"] {
  const libraries = locateLibraries()
  if (!isAsync) return libraries
  return { ...libraries, cpu: join(dirname(libraries.cpu), "libbaozi_async.so") }
}

export function engineConfig(modelPath: string, overrides: Partial<EngineConfig> = {}): EngineConfig {
  return {
    modelPath, hfOverrides: {}, dtype: "float32", quantization: null, kvCacheDtype: "auto", activationBits: 12,
    blockSize: 16,
    maxModelLen: null, maxNumBatchedTokens: 512, maxNumSeqs: 16, schedulingPolicy: "fcfs",
    priorityAgeingSeconds: 0, maxItlMs: null, speculation: null,
    enablePrefixCaching: true,
    enableChunkedPrefill: true,
    longPrefillTokenThreshold: 0, numBlocksOverride: null, kvCacheMemoryBytes: 64 * 2 ** 20, textBytes: 0,
    memoryUtilization: null,
    // Threads that wait for each other are slow where others use the processors; the suites of the CPU library have them.
    numThreads: isAsync ? 1 : 0, isa: null, logprobsMode: "raw_logprobs", logitsProcessors: [],
    libraries: testLibraries(), ...overrides,
  }
}

export interface Golden {
  readonly prompts: readonly (readonly number[])[]
  readonly greedy: readonly (readonly number[])[]
  readonly minTopGap: number
  /** By prompt: the reference's logits at the prompt's last position. */
  readonly lastLogits: readonly (Float32Array | null)[]
}

/** Reads a fixture's golden.json and golden.tensors (a safetensors file of float32 logits [positions, V]). */
export async function readGolden(dir: string): Promise<Golden> {
  const json = (await Bun.file(join(dir, "golden.json")).json()) as {
    prompts: number[][], greedy: number[][], min_top1_gap: number,
  }
  const lastLogits = await readLastLogits(join(dir, "golden.tensors"), json.prompts.length)
  return { prompts: json.prompts, greedy: json.greedy, minTopGap: json.min_top1_gap, lastLogits }
}

async function readLastLogits(path: string, count: number): Promise<(Float32Array | null)[]> {
  const bytes = await Bun.file(path).arrayBuffer()
  const headerBytes = Number(new DataView(bytes).getBigUint64(0, true))
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 8, headerBytes))) as Record<
    string, { shape: number[]; data_offsets: [number, number] }
  >
  return Array.from({ length: count }, (_, i) => {
    const entry = header[`logits.${i}`]
    if (entry === undefined) return null
    const vocab = entry.shape[1]!
    const end = 8 + headerBytes + entry.data_offsets[1]
    return new Float32Array(bytes.slice(end - vocab * 4, end))
  })
}

/** The model a fixture folder holds: its GGUF file, or the folder itself. */
export function modelPathOf(dir: string): string {
  const gguf = join(dir, "model.gguf")
  return existsSync(gguf) ? gguf : dir
}
