import type { Request } from "../request.ts"
import type { StepConstraint } from "./step-constraint.ts"

/**
 * For models that keep a state instead of keys and values: it can be found again only where a step ended on a block
 * boundary, so prompts are cut there, the last time at the last boundary of the request's tokens. Drafts are left out,
 * since a state that has taken in a rejected token cannot be taken back.
 */
export class StateAlignment implements StepConstraint {
  readonly #blockSize: number
  readonly #keepsSnapshots: boolean

  /** `keepsSnapshots`: prefixes are cached; else prompts are cut anywhere. */
  constructor(blockSize: number, keepsSnapshots: boolean) {
    this.#blockSize = blockSize
    this.#keepsSnapshots = keepsSnapshots
  }

  begin(): void {}

  clip(request: Request, start: number, numTokens: number): number {
    const end = Math.min(start + numTokens, request.numTokensPlanned)
    const lastBoundary = request.numTokens - (request.numTokens % this.#blockSize)
    const isDecode = start >= request.numTokensPlanned - 1
    if (!this.#keepsSnapshots || isDecode || start >= lastBoundary) return end - start
    return Math.max(0, end - (end % this.#blockSize) - start)
  }

  take(): void {}

  giveBack(): void {}
}
