/**
 * Where the time of a step goes: planning it, running it on a backend that computes nothing, taking in its result; and
 * what prefix caching adds to that when nothing is ever found.
 */
import { Prng } from "../base/prng.ts"
import type { EngineConfig } from "../exec/engine-config.ts"
import { randomTokens } from "./datasets.ts"
import { formatTable } from "./report.ts"
import { mean } from "./statistics.ts"
import { StepEngine, type Step } from "./step-engine.ts"

export interface StepFigures {
  readonly numRequests: number
  readonly scheduleUs: number
  readonly executeUs: number
  readonly updateUs: number
  readonly totalUs: number
  /** What naming blocks by their hashes adds to each token, prompts included; below zero it is lost in the noise. */
  readonly prefixCachingUsPerToken: number
}

export interface StepOptions {
  readonly batchSizes: readonly number[]
  readonly inputLen: number
  readonly outputLen: number
  readonly rounds: number
  readonly seed: number
}

export function measureSteps(config: EngineConfig, options: StepOptions): StepFigures[] {
  const { batchSizes, inputLen, outputLen } = options
  const sized = {
    ...config, maxNumSeqs: Math.max(...batchSizes), maxModelLen: inputLen + outputLen + 1,
    maxNumBatchedTokens: Math.max(config.maxNumBatchedTokens, ...batchSizes),
  }
  const plain = StepEngine.load({ ...sized, enablePrefixCaching: false })
  const caching = StepEngine.load({ ...sized, enablePrefixCaching: true })
  try {
    return batchSizes.map((size) => measureBatch(plain, caching, size, options))
  } finally {
    plain.dispose()
    caching.dispose()
  }
}

function measureBatch(plain: StepEngine, caching: StepEngine, size: number, options: StepOptions): StepFigures {
  const prng = new Prng(options.seed + size)
  const vocabulary = Array.from({ length: plain.model.traits.vocabSize }, (_, id) => id)
  const decodes: Step[] = []
  // The least of all rounds: what disturbs a run only ever makes it longer.
  const least = [Infinity, Infinity]
  // One round more, for the compiler; the engines take turns.
  for (let round = 0; round <= options.rounds; round++) {
    const prompts = Array.from({ length: size }, () => randomTokens(options.inputLen, vocabulary, prng))
    for (const [i, engine] of [plain, caching].entries()) {
      for (const prompt of prompts) engine.add(prompt, options.outputLen)
      const steps = engine.run()
      if (round === 0) continue
      least[i] = Math.min(least[i]!, total(steps))
      if (engine === caching) decodes.push(...steps.filter((step) => step.isDecode && step.numRequests === size))
    }
  }
  const us = (of: (step: Step) => number): number => mean(decodes.map(of)) * 1e6
  return {
    numRequests: size, scheduleUs: us((s) => s.scheduleSeconds), executeUs: us((s) => s.executeSeconds),
    updateUs: us((s) => s.updateSeconds), totalUs: us((s) => s.seconds),
    prefixCachingUsPerToken: ((least[1]! - least[0]!) * 1e6) / (size * (options.inputLen + options.outputLen)),
  }
}

function total(steps: readonly Step[]): number {
  return steps.reduce((seconds, step) => seconds + step.seconds, 0)
}

export function describeSteps(figures: readonly StepFigures[]): string {
  const rows = figures.map((f) =>
    [f.numRequests, f.scheduleUs, f.executeUs, f.updateUs, f.totalUs, f.prefixCachingUsPerToken])
  return formatTable([
    ["requests", "schedule, us", "execute, us", "update, us", "step, us", "of it prefix caching, us a token"], ...rows])
}
