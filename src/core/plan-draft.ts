import { assert } from "../base/assert.ts"
import type { Request } from "./request.ts"
import type { ScheduledRequest } from "./schedule-plan.ts"

/** A plan while it is being made: what is scheduled so far, and how much of the budget is left. */
export class PlanDraft {
  readonly scheduled: ScheduledRequest[] = []
  /** Same order as `scheduled`. */
  readonly requests: Request[] = []
  tokenBudget: number
  /** What is left for requests that are not caught up; may be more than `tokenBudget`. */
  promptBudget: number
  readonly #maxTokens: number

  constructor(tokenBudget: number, promptBudget: number) {
    this.#maxTokens = tokenBudget
    this.tokenBudget = tokenBudget
    this.promptBudget = promptBudget
  }

  get totalNumScheduledTokens(): number {
    return this.#maxTokens - this.tokenBudget
  }

  add(request: Request, scheduled: ScheduledRequest): void {
    assert(scheduled.numScheduledTokens > 0, () => `${request.requestId}: nothing scheduled`)
    assert(scheduled.numScheduledTokens <= this.tokenBudget, () => `${request.requestId}: beyond the token budget`)
    const isWithin = request.isCaughtUp || scheduled.numScheduledTokens <= this.promptBudget
    assert(isWithin, () => `${request.requestId}: beyond the budget of prompts`)
    this.tokenBudget -= scheduled.numScheduledTokens
    if (!request.isCaughtUp) this.promptBudget -= scheduled.numScheduledTokens
    this.scheduled.push(scheduled)
    this.requests.push(request)
  }

  /** Takes a request's share back. False when it has none. */
  takeBack(request: Request): boolean {
    const index = this.requests.indexOf(request)
    const scheduled = this.scheduled[index]
    if (scheduled === undefined) return false
    this.tokenBudget += scheduled.numScheduledTokens
    if (!request.isCaughtUp) this.promptBudget += scheduled.numScheduledTokens
    this.scheduled.splice(index, 1)
    this.requests.splice(index, 1)
    return true
  }
}
