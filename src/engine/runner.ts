import type { SamplingParams } from "../core/sampling-params.ts"
import type { SchedulePlan, StepResult } from "../core/schedule-plan.ts"
import type { TokenMasks } from "../core/token-masks.ts"

/**
 * What the engine needs of whatever computes: a model on a device, or the simulator's fake.
 *
 * `Step` is what it makes of a plan until the result is there. Each step is submitted, sampled and collected, in the
 * order of the plans; it is sampled before the next one is submitted. Errors of the three: any; the engine is dead
 * afterwards.
 */
export interface Runner<Step = unknown> {
  /** Steps that may be between `submit` and `collect` at once, at least 1. */
  readonly depth: number
  /** Whether the tokens of a request have to be known to the host before its next step can be sampled. */
  waitsForHost(sampling: SamplingParams): boolean
  /** Starts what the plan computes. */
  submit(plan: SchedulePlan): Step
  /** Has the tokens drawn, of those that `masks` allows. */
  sample(step: Step, masks: TokenMasks | null): void
  /** Waits for what was drawn. */
  collect(step: Step): StepResult
  /**
   * Gets memory ready that blocks of the KV cache will use, a few milliseconds' worth of it. False: it is all ready.
   * Errors: as those of a step.
   */
  prepare(blockIds: readonly number[]): boolean
  /**
   * Gives memory back: that of the weights, and at level 2 the KV cache's too, with what is in it. Only empty plans are
   * executed until it is woken.
   */
  sleep(level: 1 | 2): void
  /** Errors: any; it sleeps on then. */
  wake(): void
}
