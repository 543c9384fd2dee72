/** What a step may cost: the token budget, the share of it that prompts may take, and the share of one request. */
import type { Request } from "../request.ts"
import type { SchedulerConfig } from "../scheduler-config.ts"
import type { StepConstraint, StepStart, Verdict } from "./step-constraint.ts"

/** Tokens of one step, over all requests. */
export class TokenBudget implements StepConstraint {
  readonly #maxTokens: number
  readonly #splitsPrompts: boolean
  #left = 0

  constructor({ maxNumBatchedTokens, enableChunkedPrefill }: SchedulerConfig) {
    this.#maxTokens = maxNumBatchedTokens
    this.#splitsPrompts = enableChunkedPrefill
  }

  begin({ isFrozen }: StepStart): void {
    this.#left = isFrozen ? 0 : this.#maxTokens
  }

  admits(): Verdict {
    return this.#left > 0 ? "admit" : "stop"
  }

  clip(request: Request, _start: number, numTokens: number): number {
    if (numTokens <= this.#left) return numTokens
    return this.#splitsPrompts || request.status === "running" ? this.#left : 0
  }

  take(_request: Request, numTokens: number): void {
    this.#left -= numTokens
  }

  giveBack(_request: Request, numTokens: number): void {
    this.#left += numTokens
  }
}

/** Tokens of requests that wait for more than their next token, while others do decode: more would delay those. */
export class PromptBudget implements StepConstraint {
  readonly #splitsPrompts: boolean
  readonly #leastTokens: number
  #left = Infinity

  /** `leastTokens`: fewer would be none, where prompts are cut at certain positions alone. */
  constructor({ enableChunkedPrefill }: SchedulerConfig, leastTokens: number) {
    this.#splitsPrompts = enableChunkedPrefill
    this.#leastTokens = leastTokens
  }

  begin({ isDecoding, maxPromptTokens }: StepStart): void {
    this.#left = isDecoding ? Math.max(maxPromptTokens, this.#leastTokens) : Infinity
  }

  admits(): Verdict {
    return this.#left > 0 ? "admit" : "stop"
  }

  clip(request: Request, _start: number, numTokens: number): number {
    const isRunning = request.status === "running"
    if (numTokens <= this.#left || (isRunning && request.isCaughtUp)) return numTokens
    return this.#splitsPrompts || isRunning ? this.#left : 0
  }

  take(request: Request, numTokens: number): void {
    if (!request.isCaughtUp) this.#left -= numTokens
  }

  giveBack(request: Request, numTokens: number): void {
    if (!request.isCaughtUp) this.#left += numTokens
  }
}

/** Tokens of one request in one step, while there are others. */
export class LongPrefillLimit implements StepConstraint {
  readonly #config: SchedulerConfig
  #limit = Infinity

  /** Requires: `longPrefillTokenThreshold` is not 0. */
  constructor(config: SchedulerConfig) {
    this.#config = config
  }

  begin({ numRequests }: StepStart): void {
    const { longPrefillTokenThreshold, longPrefillTokenThresholdAdaptive, maxNumBatchedTokens } = this.#config
    const share = longPrefillTokenThresholdAdaptive ? Math.floor(maxNumBatchedTokens / numRequests) : 0
    this.#limit = numRequests <= 1 ? Infinity : Math.max(longPrefillTokenThreshold, share)
  }

  clip(_request: Request, _start: number, numTokens: number): number {
    return Math.min(numTokens, this.#limit)
  }

  take(): void {}

  giveBack(): void {}
}
