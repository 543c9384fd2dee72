import type { SchedulePlan, StepResult } from "../core/schedule-plan.ts"

/** What the engine needs of whatever computes: a model on a device, or the simulator's fake. */
export interface Runner {
  /** Errors: any; the engine is dead afterwards. */
  execute(plan: SchedulePlan): StepResult
  /**
   * Gets memory ready that blocks of the KV cache will use, a few milliseconds' worth of it. False: it is all ready.
   * Errors: as those of `execute`.
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
