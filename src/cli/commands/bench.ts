/**
 * `baozi bench`: wires the measurements of bench/ to models, libraries and the command line.
 */
import { KernelLibrary } from "../../../ffi/library.ts"
import { NativeStream } from "../../../ffi/stream.ts"
import { preloadLibraries } from "../../../ffi/preload.ts"
import { present } from "../../base/assert.ts"
import { Prng } from "../../base/prng.ts"
import { benchEngine } from "./bench-engine.ts"
import { benchScale } from "./bench-scale.ts"
import { benchServe } from "./bench-serve.ts"
import { benchFidelity, benchPerplexity } from "./bench-text.ts"
import { makeSamples } from "../../bench/datasets.ts"
import { describeLatency, measureLatency } from "../../bench/latency.ts"
import { describeLimits } from "../../bench/limits-report.ts"
import { largestRead, measureProducts, measureReads, readSizes, summarize } from "../../bench/machine-limits.ts"
import { writeReport } from "../../bench/report.ts"
import { describeThroughput, measureThroughput } from "../../bench/throughput.ts"
import type { BenchActions, BenchConfig } from "../bench-options.ts"
import { locateLibraries } from "../libraries.ts"
import type { ServeConfig } from "../serve-options.ts"
import { systemMemory } from "../../exec/system-memory.ts"
import { withStepEngine } from "../../app/load-step-engine.ts"
import { modelPathOf } from "../../app/engine-options.ts"
import { tokenizerOf } from "../../app/tokenizer-of.ts"

export const benchActions: BenchActions = {
  limits, latency, throughput, perplexity: benchPerplexity, fidelity: benchFidelity, engine: benchEngine,
  scale: benchScale, serve: benchServe,
}

function openStream(config: ServeConfig): NativeStream {
  const { cpu, preload } = locateLibraries(config.libDir)
  preloadLibraries(preload)
  return NativeStream.create(KernelLibrary.open(cpu), { numThreads: config.threads, isa: config.isa })
}

async function limits({ engine, maxBytes, json }: BenchConfig<"limits">): Promise<number> {
  const stream = openStream(engine)
  const reads = measureReads(stream, readSizes(largestRead(systemMemory().availableBytes, maxBytes)))
  const products = measureProducts(stream)
  const info = stream.library.info()
  const figures = {
    device: String(info["device"]), isa: engine.isa ?? String(info["isa"]),
    threads: engine.threads || Number(info["cores"]), reads, products, limits: summarize(reads, products),
  }
  stream.destroy()
  writeReport(describeLimits(figures), figures, json)
  return 0
}

async function latency(config: BenchConfig<"latency">): Promise<number> {
  const { engine: engineFlags, json, ...options } = config
  const wanted = { ...engineFlags, maxNumSeqs: Math.max(engineFlags.maxNumSeqs, options.batchSize) }
  const figures = withStepEngine(wanted, (engine, limits) => measureLatency(engine, options, limits))
  writeReport(describeLatency(options, figures), { ...options, ...figures }, json)
  return 0
}

async function throughput(config: BenchConfig<"throughput">): Promise<number> {
  const { engine: engineFlags, json, seed, ...options } = config
  const needsTokenizer = options.datasetName === "custom"
  const tokenizer = needsTokenizer ? await tokenizerOf(engineFlags.tokenizer, modelPathOf(engineFlags)) : null
  const figures = withStepEngine(engineFlags, (engine, limits) => {
    const tokens = Array.from({ length: engine.model.traits.vocabSize }, (_, id) => id)
    const requests = makeSamples(options, tokens, new Prng(seed)).map(({ prompt, outputLen }) => ({
      tokenIds: typeof prompt === "string" ? present(tokenizer, "tokenizer").encode(prompt) : prompt, outputLen,
    }))
    return measureThroughput(engine, requests, limits)
  })
  writeReport(describeThroughput(figures), { seed, ...options, ...figures }, json)
  return 0
}
