import { leastSeconds, type MachineLimits } from "./machine-limits.ts"
import { sum } from "./statistics.ts"
import type { Step } from "./step-engine.ts"

/** Steps of one kind together. */
export interface Phase {
  readonly seconds: number
  /** Of prefill the prompt tokens computed, of decode the tokens sampled. */
  readonly tokens: number
  readonly tokensPerSecond: number
  /** The least time that reads and products take on this machine, over the time taken. */
  readonly shareOfLimit: number
}

function phase(steps: readonly Step[], tokensOf: (step: Step) => number, limits: MachineLimits): Phase {
  const seconds = sum(steps.map((step) => step.seconds))
  const tokens = sum(steps.map(tokensOf))
  const least = sum(steps.map((step) => leastSeconds(limits, step.cost)))
  return { seconds, tokens, tokensPerSecond: tokens / seconds, shareOfLimit: least / seconds }
}

/** A step that computes any of a prompt counts as prefill, whatever else it computes. */
export function phasesOf(steps: readonly Step[], limits: MachineLimits): { prefill: Phase; decode: Phase } {
  return {
    prefill: phase(steps.filter((step) => !step.isDecode), (step) => step.numTokens, limits),
    decode: phase(steps.filter((step) => step.isDecode), (step) => step.numSampled, limits),
  }
}
