/**
 * What a step costs as one thing grows: the batch and the context with the model, waiting requests and blocks with a
 * backend that computes nothing, so that what is left is the engine's own.
 */
import { ConfigError } from "../base/errors.ts"
import { Prng } from "../base/prng.ts"
import type { EngineConfig } from "../exec/engine-config.ts"
import { randomTokens } from "./datasets.ts"
import { mean, median } from "./statistics.ts"
import { StepEngine, type Step } from "./step-engine.ts"

export interface ScalePoint {
  readonly size: number
  readonly stepMs: number
}

export interface ScaleCurve {
  readonly name: string
  readonly of: string
  readonly points: readonly ScalePoint[]
  /** Slope on logarithmic axes over the upper half of the points: 1 is linear, 0 is free. */
  readonly exponent: number
}

export interface ScaleOptions {
  readonly maxBatch: number
  readonly maxContext: number
  readonly maxWaiting: number
  readonly maxBlocks: number
  /** Steps that a figure is the median of. */
  readonly numSteps: number
  readonly seed: number
}

/** `factor`-fold from `first` to `last`, which is in it. */
export function sizes(first: number, last: number, factor: number): number[] {
  const all: number[] = []
  for (let size = first; size < last; size *= factor) all.push(size)
  return [...all, last]
}

/** Measures the first size twice: the first time the compiler is still at work. */
function measureEach(all: readonly number[], stepMs: (size: number) => number): ScalePoint[] {
  stepMs(all[0]!)
  return all.map((size) => ({ size, stepMs: stepMs(size) }))
}

function curve(name: string, of: string, points: readonly ScalePoint[]): ScaleCurve {
  return { name, of, points, exponent: growth(points) }
}

/** Least squares over logarithms. NaN for a single point. */
export function growth(points: readonly ScalePoint[]): number {
  const upper = points.slice(Math.floor((points.length - 1) / 2))
  const logs = upper.map(({ size, stepMs }) => [Math.log(size), Math.log(stepMs)] as const)
  const [meanX, meanY] = [mean(logs.map(([x]) => x)), mean(logs.map(([, y]) => y))]
  const over = logs.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0)
  return logs.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0) / over
}

function medianMs(steps: readonly Step[]): number {
  return median(steps.map((step) => step.seconds)) * 1000
}

/** Decode steps of so many requests, 16 tokens of context each. */
export function scaleBatch(config: EngineConfig, o: ScaleOptions): ScaleCurve {
  const engine = StepEngine.load({ ...config, maxNumSeqs: o.maxBatch, maxModelLen: 32 + o.numSteps })
  const draw = drawer(engine, o.seed)
  try {
    return curve("batch", "requests in a decode step", measureEach(sizes(1, o.maxBatch, 2), (size) => {
      engine.addComputed(Array.from({ length: size }, () => draw(16)), o.numSteps + 2)
      return medianMs(engine.run().filter((step) => step.numRequests === size))
    }))
  } finally {
    engine.dispose()
  }
}

/** Decode steps of one request over so many tokens, whose values are whatever the cache holds. */
export function scaleContext(config: EngineConfig, o: ScaleOptions): ScaleCurve {
  const numBlocks = Math.ceil((o.maxContext + o.numSteps + 2) / config.blockSize) + 2
  const fitted = { enablePrefixCaching: false, numBlocksOverride: numBlocks, maxModelLen: null }
  const engine = StepEngine.load({ ...config, ...fitted })
  const room = engine.model.plan.maxModelLen - o.numSteps - 2
  const largest = Math.min(o.maxContext, room)
  if (largest < 128) throw new ConfigError(`no room for a context of 128 tokens and ${o.numSteps} steps`)
  const draw = drawer(engine, o.seed)
  try {
    writeEveryBlock(engine, draw)
    return curve("context", "tokens of context of one request", measureEach(sizes(128, largest, 2), (size) => {
      engine.addComputed([draw(size)], o.numSteps + 1)
      return medianMs(engine.run())
    }))
  } finally {
    engine.dispose()
  }
}

/** A token to each block: memory that was never written is not memory to the system, and reads like a cache. */
function writeEveryBlock(engine: StepEngine, draw: (count: number) => number[]): void {
  for (let block = 0; block < engine.model.plan.numBlocks; block++) engine.add(draw(1), 1)
  engine.run()
}

/** Decode steps of one running request while so many wait. `config` names the library that computes nothing. */
export function scaleWaiting(config: EngineConfig, o: ScaleOptions): ScaleCurve {
  return curve("waiting", "requests that wait", measureEach(sizes(1, o.maxWaiting, 10), (size) => {
    const engine = StepEngine.load({ ...config, maxNumSeqs: 1, maxModelLen: 64 + 10 * o.numSteps })
    const draw = drawer(engine, o.seed)
    try {
      engine.add(draw(16), 10 * o.numSteps + 1)
      for (let i = 0; i < size; i++) engine.add(draw(16), 1)
      const steps = Array.from({ length: 10 * o.numSteps }, () => engine.step())
      return medianMs(steps.filter((step) => step.isDecode))
    } finally {
      engine.dispose()
    }
  }))
}

/** Steps that compute prompts of 1,024 tokens, in blocks of 16, out of so many blocks. */
export function scaleBlocks(config: EngineConfig, o: ScaleOptions): ScaleCurve {
  const length = 1024
  return curve("blocks", "KV blocks", measureEach(sizes(100, o.maxBlocks, 10), (size) => {
    const engine = StepEngine.load({
      ...config, blockSize: 16, numBlocksOverride: size, kvCacheMemoryBytes: null, maxModelLen: length + 16,
      maxNumBatchedTokens: Math.max(config.maxNumBatchedTokens, length),
    })
    const draw = drawer(engine, o.seed)
    try {
      const steps: Step[] = []
      for (let i = 0; i < 10 * o.numSteps; i++) {
        engine.add(draw(length), 1)
        steps.push(...engine.run())
      }
      return medianMs(steps)
    } finally {
      engine.dispose()
    }
  }))
}

function drawer(engine: StepEngine, seed: number): (count: number) => number[] {
  const tokens = Array.from({ length: engine.model.traits.vocabSize }, (_, id) => id)
  const prng = new Prng(seed)
  return (count) => randomTokens(count, tokens, prng)
}
