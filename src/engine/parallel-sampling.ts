/** n > 1: one core request a choice, over the same prompt, whose blocks the prefix cache shares. */
import type { SamplingParams } from "../core/sampling-params.ts"

/** Randomness from outside, so that tests repeat. */
export interface RandomSource {
  /** Uniform over the 64-bit patterns, as an unsigned number. */
  uint64(): bigint
}

export interface ChildRequest {
  /** What the core calls this choice. */
  readonly id: string
  readonly index: number
  readonly sampling: SamplingParams
}

/**
 * The core requests of `request`. Ids get a random tail because callers may reuse theirs; choice i of a seeded request
 * draws with seed + i, one without a seed with a random one. The first alone computes prompt log-probabilities, which are
 * the same for all: the others find its blocks cached.
 */
export function childRequests(requestId: string, sampling: SamplingParams, random: RandomSource): ChildRequest[] {
  const id = `${requestId}-${(random.uint64() & 0xffff_ffffn).toString(16).padStart(8, "0")}`
  const children: ChildRequest[] = []
  for (let index = 0; index < sampling.n; index++) {
    const seed = sampling.seed === null ? random.uint64() : BigInt.asUintN(64, sampling.seed + BigInt(index))
    const promptLogprobs = index === 0 ? sampling.promptLogprobs : null
    const own = { ...sampling, n: 1, seed, promptLogprobs }
    children.push({ id: sampling.n === 1 ? id : `${index}_${id}`, index, sampling: own })
  }
  return children
}
