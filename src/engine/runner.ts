import type { SchedulePlan, StepResult } from "../core/schedule-plan.ts"

/** What the engine needs of whatever computes: a model on a device, or the simulator's fake. */
export interface Runner {
  /** Errors: any; the engine is dead afterwards. */
  execute(plan: SchedulePlan): StepResult
}
