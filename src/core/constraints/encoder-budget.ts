import type { Request } from "../request.ts"
import type { StepConstraint } from "./step-constraint.ts"

/**
 * Embeddings that a step's encoder computes, over all requests. An input is encoded whole, in the step that first
 * computes one of its positions; where it does not fit, the request is computed up to its first position.
 */
export class EncoderBudget implements StepConstraint {
  readonly #maxTokens: number
  #left = 0

  /** Requires: no input of a request has more than `maxTokens` embeddings; such a one would wait for ever. */
  constructor(maxTokens: number) {
    this.#maxTokens = maxTokens
  }

  begin(): void {
    this.#left = this.#maxTokens
  }

  clip(request: Request, start: number, numTokens: number): number {
    let left = this.#left
    for (const index of request.encoderInputsIn(start, numTokens)) {
      const { offset, numTokens: size } = request.encoderInput(index)
      if (size > left) return Math.max(0, offset - start)
      left -= size
    }
    return numTokens
  }

  take(request: Request, numTokens: number): void {
    this.#left -= this.#cost(request, numTokens)
  }

  giveBack(request: Request, numTokens: number): void {
    this.#left += this.#cost(request, numTokens)
  }

  #cost(request: Request, numTokens: number): number {
    let cost = 0
    for (const index of request.encoderInputsIn(request.numComputedTokens, numTokens)) {
      cost += request.encoderInput(index).numTokens
    }
    return cost
  }
}
