/**
 * Plans as plain data, for a file or for another process: a request that is new to the reader in full, one that it
 * knows by what has changed since the last plan it was in.
 *
 * A message is JSON without loss. Writer and reader see every plan, in order; the reader's mirror then holds the same
 * tokens and block tables as the scheduler, and `PlanReader.read` gives the plan that was written.
 * Source: vLLM's split of its scheduler output into new and cached requests.
 */
import { assert } from "../base/assert.ts"
import type { SamplingParams } from "./sampling-params.ts"
import type { ScheduledRequest, SchedulePlan } from "./schedule-plan.ts"
import { TokenList } from "./token-list.ts"

/** `SamplingParams` in JSON's types. */
export type SamplingData = Omit<SamplingParams, "seed" | "logitBias"> & {
  readonly seed: string | null
  readonly logitBias: readonly (readonly [tokenId: number, bias: number])[] | null
}

/** What a plan says of a request beside its tokens, blocks and parameters. */
type StepData = Pick<
  ScheduledRequest,
  "requestId" | "numComputedTokens" | "numScheduledTokens" | "numCachedTokens" | "promptLogprobs" |
  "numUnknownTokens" | "draftTokenIds" | "samples" | "encodes"
>

export interface NewRequestData extends StepData {
  readonly isNew: true
  readonly tokenIds: readonly number[]
  readonly numPromptTokens: number
  readonly sampling: SamplingData
  readonly adapter: string | null
  readonly blockIdsByGroup: readonly (readonly number[])[]
}

export interface KnownRequestData extends StepData {
  readonly isNew: false
  /** To append. */
  readonly newTokenIds: readonly number[]
  /** By group, to append. */
  readonly newBlockIds: readonly (readonly number[])[]
  /** By group: the table's cells before this one are the null block now. */
  readonly numNullCells: readonly number[]
}

export interface PlanMessage extends Omit<SchedulePlan, "requests"> {
  /** In the plan's order. */
  readonly requests: readonly (NewRequestData | KnownRequestData)[]
}

/** How much of a request the reader knows. */
interface Sent {
  numTokens: number
  /** By group. */
  readonly numCells: number[]
  readonly numNullCells: number[]
}

export class PlanWriter {
  readonly #sent = new Map<string, Sent>()

  /** Shares no array with the plan that will change. */
  write(plan: SchedulePlan): PlanMessage {
    for (const id of plan.finishedRequestIds) this.#sent.delete(id)
    for (const id of plan.preemptedRequestIds) this.#sent.delete(id)
    const requests = plan.requests.map((request) => (request.isNew ? this.#inFull(request) : this.#changes(request)))
    return { ...plan, requests }
  }

  #inFull(request: ScheduledRequest): NewRequestData {
    const { tokenIds, numPromptTokens, sampling, adapter } = request
    const blockIdsByGroup = request.blockIdsByGroup.map((ids) => ids.slice())
    this.#sent.set(request.requestId, {
      numTokens: tokenIds.length,
      numCells: blockIdsByGroup.map((ids) => ids.length),
      numNullCells: blockIdsByGroup.map((ids) => countNull(ids, 0)),
    })
    return {
      ...stepData(request), isNew: true, tokenIds: tokenIds.slice(), numPromptTokens, adapter, blockIdsByGroup,
      sampling: toData(sampling),
    }
  }

  #changes(request: ScheduledRequest): KnownRequestData {
    const { requestId, tokenIds, blockIdsByGroup } = request
    const sent = this.#sent.get(requestId)
    assert(sent !== undefined, () => `${requestId} is not new, and no plan had it before`)
    const newTokenIds = tokenIds.slice(sent.numTokens)
    const newBlockIds = blockIdsByGroup.map((ids, g) => ids.slice(sent.numCells[g]))
    sent.numTokens = tokenIds.length
    for (const [g, ids] of blockIdsByGroup.entries()) {
      sent.numCells[g] = ids.length
      sent.numNullCells[g] = countNull(ids, sent.numNullCells[g] ?? 0)
    }
    return { ...stepData(request), isNew: false, newTokenIds, newBlockIds, numNullCells: sent.numNullCells.slice() }
  }
}

/** The reader's copy of what the scheduler has of a request. */
interface Mirror {
  readonly tokenIds: TokenList
  readonly numPromptTokens: number
  readonly sampling: SamplingParams
  readonly adapter: string | null
  readonly blockIdsByGroup: readonly number[][]
}

export class PlanReader {
  readonly #mirrors = new Map<string, Mirror>()

  /** Its views live like those of the scheduler's own plans: until the next call. */
  read(message: PlanMessage): SchedulePlan {
    for (const id of message.finishedRequestIds) this.#mirrors.delete(id)
    for (const id of message.preemptedRequestIds) this.#mirrors.delete(id)
    return { ...message, requests: message.requests.map((data) => this.#readRequest(data)) }
  }

  #readRequest(data: NewRequestData | KnownRequestData): ScheduledRequest {
    const mirror = data.isNew ? this.#begin(data) : this.#update(data)
    const { blockIdsByGroup } = mirror
    return { ...stepData(data), isNew: data.isNew, ...mirror, blockIds: blockIdsByGroup[0] ?? [] }
  }

  #begin({ requestId, tokenIds, numPromptTokens, sampling, adapter, blockIdsByGroup }: NewRequestData): Mirror {
    assert(!this.#mirrors.has(requestId), () => `${requestId} comes as new, and is known`)
    const mirror = {
      tokenIds: new TokenList(tokenIds), numPromptTokens, sampling: fromData(sampling), adapter,
      blockIdsByGroup: blockIdsByGroup.map((ids) => ids.slice()),
    }
    this.#mirrors.set(requestId, mirror)
    return mirror
  }

  #update({ requestId, newTokenIds, newBlockIds, numNullCells }: KnownRequestData): Mirror {
    const mirror = this.#mirrors.get(requestId)
    assert(mirror !== undefined, () => `${requestId} comes as known, and is not`)
    for (const tokenId of newTokenIds) mirror.tokenIds.push(tokenId)
    for (const [g, ids] of mirror.blockIdsByGroup.entries()) {
      for (const id of newBlockIds[g] ?? []) ids.push(id)
      for (let cell = (numNullCells[g] ?? 0) - 1; cell >= 0 && ids[cell] !== 0; cell--) ids[cell] = 0
    }
    return mirror
  }
}

function stepData(data: StepData): StepData {
  const { requestId, numComputedTokens, numScheduledTokens, numCachedTokens, promptLogprobs, draftTokenIds } = data
  const { numUnknownTokens, samples, encodes } = data
  return {
    requestId, numComputedTokens, numScheduledTokens, numCachedTokens, promptLogprobs, numUnknownTokens, draftTokenIds,
    samples, encodes,
  }
}

/** The first cells that are the null block, of which `known` are. */
function countNull(ids: readonly number[], known: number): number {
  let count = known
  while (count < ids.length && ids[count] === 0) count += 1
  return count
}

function toData(sampling: SamplingParams): SamplingData {
  const { seed, logitBias } = sampling
  return { ...sampling, seed: seed?.toString() ?? null, logitBias: logitBias === null ? null : [...logitBias] }
}

function fromData(data: SamplingData): SamplingParams {
  const { seed, logitBias } = data
  return {
    ...data, seed: seed === null ? null : BigInt(seed), logitBias: logitBias === null ? null : new Map(logitBias),
  }
}
