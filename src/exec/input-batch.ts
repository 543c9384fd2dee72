import { assert } from "../base/assert.ts"
import type { ScheduledRequest } from "../core/schedule-plan.ts"
import type { StepInputs } from "../model/stage.ts"
import type { Device, DeviceArray } from "../tensor/device.ts"
import { InputRing, type StepArray } from "../tensor/step-arrays.ts"
import { groupArrays, type GroupArrays, type GroupShape } from "./group-inputs.ts"

export interface BatchLimits {
  /** T at most. */
  readonly maxTokens: number
  /** R at most. */
  readonly maxRequests: number
  /** Of the KV cache. */
  readonly groups: readonly GroupShape[]
  readonly maxModelLen: number
  /** Rows the output head takes at a time. */
  readonly maxSamples: number
  /** Rows of one step that are sampled: its requests, and the positions after their drafts. */
  readonly maxSampleRows: number
}

const UNKNOWN = 0

/**
 * The arrays that a step's ops read, rebuilt from the plan every step: nothing in here outlives a step.
 *
 * Shapes: tokenIds, positions [T]; queryStart [R + 1]; seqLens [R]; sampleRows [samples]; by group those of
 * `GroupArrays`.
 */
export class InputBatch {
  readonly inputs: StepInputs
  readonly limits: BatchLimits
  readonly #ring: InputRing
  readonly #tokenIds: StepArray<Int32Array>
  readonly #positions: StepArray<Int32Array>
  readonly #queryStart: StepArray<Int32Array>
  readonly #seqLens: StepArray<Int32Array>
  readonly #groups: readonly GroupArrays[]
  /** The slice of the sampled rows that the head works on. */
  readonly sampleRows: DeviceArray
  numTokens = 0
  numRequests = 0
  /** Of each request of the step, and behind the last: what is uploaded may not be read again. */
  #firstRows: number[] = []

  constructor(device: Device, limits: BatchLimits) {
    const ring = new InputRing(device)
    this.limits = limits
    this.#ring = ring
    this.#tokenIds = ring.int32(limits.maxTokens)
    this.#positions = ring.int32(limits.maxTokens)
    this.#queryStart = ring.int32(limits.maxRequests + 1)
    this.#seqLens = ring.int32(limits.maxRequests)
    this.#groups = limits.groups.map((shape) => groupArrays(ring, shape, limits))
    ring.allocate()
    this.sampleRows = device.array("I32", limits.maxSamples)
    this.inputs = {
      tokenIds: this.#tokenIds.address(), positions: this.#positions.address(),
      queryStart: this.#queryStart.address(), seqLens: this.#seqLens.address(), sampleRows: this.sampleRows.address,
      groups: this.#groups.map((group) => group.inputs()),
    }
  }

  /**
   * Fills the arrays and sends them to the device. A step of one token a request has `padded` rows, at least its own:
   * what is behind its own rows belongs to nobody.
   */
  fill(requests: readonly ScheduledRequest[], padded = 0): void {
    const { maxTokens, maxRequests } = this.limits
    assert(requests.length <= maxRequests, () => `${requests.length} requests in a step of ${maxRequests}`)
    this.#ring.begin()
    const [queryStart, seqLens] = [this.#queryStart.data, this.#seqLens.data]
    const [tokenIds, positions] = [this.#tokenIds.data, this.#positions.data]
    let at = 0
    this.#firstRows = []
    for (let r = 0; r < requests.length; r++) {
      const request = requests[r]!
      assert(at + request.numScheduledTokens <= maxTokens, () => `step is over its ${maxTokens} tokens`)
      queryStart[r] = at
      this.#firstRows.push(at)
      seqLens[r] = request.numComputedTokens + request.numScheduledTokens
      fillTokens(request, tokenIds, positions, at)
      for (let g = 0; g < this.#groups.length; g++)
        this.#groups[g]!.fill(request, request.blockIdsByGroup[g]!, { row: r, at })
      at += request.numScheduledTokens
    }
    queryStart[requests.length] = at
    this.#firstRows.push(at)
    this.numTokens = at
    this.numRequests = requests.length
    this.#pad(padded)
    const numRows = Math.max(padded, requests.length)
    this.#tokenIds.used = this.#positions.used = Math.max(at, padded)
    this.#queryStart.used = numRows + 1
    this.#seqLens.used = numRows
    for (const group of this.#groups) group.finish({ numTokens: at, numRequests: requests.length, padded })
    this.#ring.upload()
  }

  /** The row of the step's tokens that holds a request's position; `r` is its place in the plan. */
  rowOf(r: number, request: ScheduledRequest, position: number): number {
    return this.#firstRows[r]! + position - request.numComputedTokens
  }

  /** The last row of a request's tokens; `r` is its place in the plan. */
  lastRowOf(r: number): number {
    return this.#firstRows[r + 1]! - 1
  }

  /** See "Padding" in baozi.h. */
  #pad(padded: number): void {
    const { numTokens, numRequests } = this
    if (padded <= numTokens) return
    this.#tokenIds.data.fill(0, numTokens, padded)
    this.#positions.data.fill(0, numTokens, padded)
    this.#queryStart.data.fill(numTokens, numRequests + 1, padded + 1)
    this.#seqLens.data.fill(0, numRequests, padded)
  }
}

function fillTokens(request: ScheduledRequest, tokenIds: Int32Array, positions: Int32Array, at: number): void {
  const known = request.tokenIds.length
  const drafts = known + request.numUnknownTokens
  for (let i = 0; i < request.numScheduledTokens; i++) {
    const position = request.numComputedTokens + i
    const token = position < known
      ? request.tokenIds.at(position)
      : position < drafts ? UNKNOWN : request.draftTokenIds[position - drafts]
    assert(token !== undefined, () => `request ${request.requestId} has no token at ${position}`)
    // The device puts in an unknown one, and a placeholder for a draft is never accepted.
    tokenIds[at + i] = Math.max(0, token)
    positions[at + i] = position
  }
}
