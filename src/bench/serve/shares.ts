/**
 * What clients saw, held against the least time that this machine needs for it. A server's steps are not seen from
 * outside: decoding is taken as steps of as many requests as were on their way on average, and a prompt as one step.
 */
import { stepCost, type ModelCost } from "../../exec/model-cost.ts"
import { leastSeconds, type MachineLimits } from "../machine-limits.ts"
import { mean, sum } from "../statistics.ts"
import type { Outcome } from "./request.ts"

/** Shares of 1, the least time over the time taken; NaN where there is nothing of the kind. */
export interface ServeShares {
  /** All prompts, over the time in which some request waited for its first token. */
  readonly prefill: number
  /** All tokens after the first ones, over the time in which some request waited for such a token. */
  readonly decode: number
  /** Requests in a decode step, on average over that time. */
  readonly decodeRequests: number
  /** Both together, over the whole run. */
  readonly run: number
}

export function serveShares(
  outcomes: readonly Outcome[], durationSeconds: number, cost: ModelCost, limits: MachineLimits,
): ServeShares {
  const done = outcomes.filter(({ error }) => error === null)
  const least = (computed: number, scheduled: number, requests: number) => {
    const one = { numComputedTokens: computed, numScheduledTokens: scheduled, samples: true }
    return leastSeconds(limits, stepCost(cost, { requests: Array.from({ length: requests }, () => one) }))
  }
  const prefillSeconds = coveredSeconds(done.map((one) => [one.startMs, one.startMs + one.ttftMs]))
  const prefillLeast = sum(done.map(({ promptTokens }) => least(0, promptTokens, 1)))
  const streams = done.filter(({ outputTokens }) => outputTokens > 1)
  const decodeSeconds = coveredSeconds(streams.map((one) => [one.startMs + one.ttftMs, one.startMs + one.latencyMs]))
  const decodeRequests = sum(streams.map((one) => (one.latencyMs - one.ttftMs) / 1000)) / decodeSeconds
  const steps = sum(streams.map(({ outputTokens }) => outputTokens - 1)) / decodeRequests
  const context = mean(streams.map(({ promptTokens, outputTokens }) => promptTokens + outputTokens / 2))
  const decodeLeast = streams.length === 0
    ? 0
    : steps * least(Math.round(context), 1, Math.max(1, Math.round(decodeRequests)))
  return {
    prefill: prefillLeast / prefillSeconds, decode: decodeLeast / decodeSeconds, decodeRequests,
    run: (prefillLeast + decodeLeast) / durationSeconds,
  }
}

/** The length of the union of `intervals`, which are in milliseconds. */
function coveredSeconds(intervals: readonly (readonly [from: number, to: number])[]): number {
  let [covered, end] = [0, -Infinity]
  for (const [from, to] of intervals.toSorted((a, b) => a[0] - b[0])) {
    covered += Math.max(0, to - Math.max(from, end))
    end = Math.max(end, to)
  }
  return covered / 1000
}
