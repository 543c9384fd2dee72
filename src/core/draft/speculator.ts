import type { EngineCoreOutput } from "../engine-core-output.ts"
import type { SchedulePlan, ScheduledRequest } from "../schedule-plan.ts"
import { DraftLengths } from "./draft-lengths.ts"
import type { Drafter, DraftRequest } from "./drafter.ts"
import { makeDrafter, type SpeculationConfig } from "./speculation-config.ts"

const NO_OUTPUTS: readonly EngineCoreOutput[] = []

/** Proposes the drafts of the next step from what the last one brought. */
export class Speculator {
  readonly #drafter: Drafter
  readonly #lengths: DraftLengths
  /** Requests that were drafted for. */
  readonly #requests = new Map<string, DraftRequest>()

  constructor(config: SpeculationConfig) {
    this.#drafter = makeDrafter(config)
    this.#lengths = new DraftLengths(config.numTokens)
  }

  /** After the step's result has been taken in. By request id. */
  propose(plan: SchedulePlan, outputs: readonly EngineCoreOutput[] = NO_OUTPUTS): Map<string, readonly number[]> {
    const drafts = new Map<string, readonly number[]>()
    const ended = new Set<string>(plan.finishedRequestIds)
    for (const { requestId, draft, finishReason } of outputs) {
      if (draft !== null) this.#lengths.record(requestId, draft)
      if (finishReason !== null) ended.add(requestId)
    }
    for (const id of ended) this.#finish(id)
    for (const request of plan.requests) {
      if (!request.samples || ended.has(request.requestId)) continue
      const numTokens = Math.min(this.#lengths.next(request.requestId), tokensLeft(request))
      const proposed = this.#drafter.propose(this.#remember(request), numTokens)
      if (proposed.length > 0) drafts.set(request.requestId, proposed)
    }
    return drafts
  }

  #remember({ requestId, tokenIds, numPromptTokens }: ScheduledRequest): DraftRequest {
    const known = this.#requests.get(requestId)
    if (known !== undefined && known.tokenIds === tokenIds) return known
    const request = { requestId, tokenIds, numPromptTokens, tenant: null }
    this.#requests.set(requestId, request)
    return request
  }

  #finish(requestId: string): void {
    const request = this.#requests.get(requestId)
    this.#lengths.finish(requestId)
    if (request === undefined) return
    this.#drafter.finish(request)
    this.#requests.delete(requestId)
  }
}

/** Tokens of a draft that could still be of use: the last token is drawn, not drafted. */
function tokensLeft({ tokenIds, numPromptTokens, sampling }: ScheduledRequest): number {
  return Math.max(0, sampling.maxTokens - (tokenIds.length - numPromptTokens) - 1)
}
