import { assert } from "../base/assert.ts"
import type { StepConstraint, Verdict } from "./constraints/step-constraint.ts"
import type { Request } from "./request.ts"
import type { ScheduledRequest } from "./schedule-plan.ts"

/** A plan while it is being made: what is scheduled so far, held against the constraints of the step. */
export class PlanDraft {
  readonly scheduled: ScheduledRequest[] = []
  /** Same order as `scheduled`. */
  readonly requests: Request[] = []
  totalNumScheduledTokens = 0
  readonly #constraints: readonly StepConstraint[]

  /** Requires: the constraints have begun the step. */
  constructor(constraints: readonly StepConstraint[]) {
    this.#constraints = constraints
  }

  /** Whether a waiting request may be looked at: what the first constraint that minds says. */
  admits(request: Request): Verdict {
    for (const constraint of this.#constraints) {
      const verdict = constraint.admits?.(request) ?? "admit"
      if (verdict !== "admit") return verdict
    }
    return "admit"
  }

  /** How many of the request's tokens [start, start + numTokens) the step may compute. */
  clip(request: Request, start: number, numTokens: number): number {
    let allowed = numTokens
    for (let i = 0; i < this.#constraints.length && allowed > 0; i++) {
      allowed = (this.#constraints[i] as StepConstraint).clip(request, start, allowed)
    }
    return allowed
  }

  add(request: Request, scheduled: ScheduledRequest): void {
    const { numScheduledTokens } = scheduled
    assert(numScheduledTokens > 0, () => `${request.requestId}: nothing scheduled`)
    for (const constraint of this.#constraints) constraint.take(request, numScheduledTokens)
    this.totalNumScheduledTokens += numScheduledTokens
    this.scheduled.push(scheduled)
    this.requests.push(request)
  }

  /** Takes a request's share back. False when it has none. */
  takeBack(request: Request): boolean {
    const index = this.requests.indexOf(request)
    const scheduled = this.scheduled[index]
    if (scheduled === undefined) return false
    for (const constraint of this.#constraints) constraint.giveBack(request, scheduled.numScheduledTokens)
    this.totalNumScheduledTokens -= scheduled.numScheduledTokens
    this.scheduled.splice(index, 1)
    this.requests.splice(index, 1)
    return true
  }
}
