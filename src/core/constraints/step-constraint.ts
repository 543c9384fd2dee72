import type { Request } from "../request.ts"

/** What a constraint is told when a step begins. */
export interface StepStart {
  /** Nothing is computed in this step. */
  readonly isFrozen: boolean
  /** A running request waits for nothing but its next token. */
  readonly isDecoding: boolean
  /** Running and waiting requests. */
  readonly numRequests: number
  /** Tokens of prompts beside requests that decode, at most. */
  readonly maxPromptTokens: number
}

/** A waiting request may be looked at; the next in line may, but not this one; or nobody any more in this step. */
export type Verdict = "admit" | "pass_over" | "stop"

/**
 * One limit on what a step computes. The scheduler clips every request's tokens by all constraints in turn, takes what
 * is planned, and gives it back when the plan for a request is taken back; it knows none of them by name.
 *
 * Requires, and keeps: `clip` changes nothing; between `begin`s, `take` gets at most what `clip` allowed last.
 */
export interface StepConstraint {
  begin(step: StepStart): void
  /** Of a waiting request, before anything is looked up for it; absent is "admit". */
  admits?(request: Request): Verdict
  /** How many of the tokens [start, start + numTokens) may be computed, from the first on; 0: none in this step. */
  clip(request: Request, start: number, numTokens: number): number
  /** The tokens [request.numComputedTokens, + numTokens) are planned. */
  take(request: Request, numTokens: number): void
  /** They are not, after all. */
  giveBack(request: Request, numTokens: number): void
}
