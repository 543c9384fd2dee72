/**
 * How many prompt tokens a step may compute beside running streams, so that these get their next token in time.
 *
 * A step is taken to last as long as one without prompts, plus a time for each prompt token. Both are learned from the
 * steps that have been run; the second rises faster than it falls, so that the target is missed seldom rather than half
 * the time. No clock here: the caller that runs the steps reports how long they took.
 */
import { assert } from "../base/assert.ts"

export interface StepTime {
  readonly seconds: number
  readonly numPromptTokens: number
  /** Requests that got their next token. */
  readonly numDecodes: number
}

/** Until a step has told: enough to learn from, not enough to be felt. */
const FIRST_CAP = 32
/** A prompt moves on by so much in any case: it must end one day. */
const MIN_CAP = 16
const RISING = 0.7
const FALLING = 0.05

export class StepPacer {
  readonly #targetSeconds: number
  #decodeSeconds: number | null = null
  #secondsPerPromptToken: number | null = null

  constructor(targetSeconds: number) {
    assert(targetSeconds > 0, () => `a target of ${targetSeconds} s`)
    this.#targetSeconds = targetSeconds
  }

  record({ seconds, numPromptTokens, numDecodes }: StepTime): void {
    if (numPromptTokens === 0) {
      if (numDecodes > 0) this.#decodeSeconds = moved(this.#decodeSeconds, seconds)
      return
    }
    // So few tokens tell more about the step than about themselves.
    if (numPromptTokens < MIN_CAP) return
    const others = numDecodes === 0 ? 0 : (this.#decodeSeconds ?? 0)
    const perToken = Math.max(0, seconds - others) / numPromptTokens
    this.#secondsPerPromptToken = moved(this.#secondsPerPromptToken, perToken)
  }

  /** For the next step. */
  maxPromptTokens(): number {
    if (this.#secondsPerPromptToken === null) return FIRST_CAP
    const spare = this.#targetSeconds - (this.#decodeSeconds ?? 0)
    if (this.#secondsPerPromptToken === 0) return spare > 0 ? Infinity : MIN_CAP
    return Math.max(MIN_CAP, Math.floor(spare / this.#secondsPerPromptToken))
  }
}

function moved(mean: number | null, value: number): number {
  if (mean === null) return value
  return mean + (value > mean ? RISING : FALLING) * (value - mean)
}
