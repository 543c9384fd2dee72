import { assert } from "../base/assert.ts"
import type { ScheduledRequest } from "../core/schedule-plan.ts"
import type { StepInputs } from "../model/graph-builder.ts"
import type { Device } from "../tensor/device.ts"

export interface BatchLimits {
  /** T at most. */
  readonly maxTokens: number
  /** R at most. */
  readonly maxRequests: number
  readonly blockSize: number
  readonly maxModelLen: number
  /** Rows the output head takes at a time. */
  readonly maxSamples: number
}

/** Of a token whose KV is there already: nothing is stored. */
const NO_SLOT = -1

/**
 * The arrays that a step's ops read, rebuilt from the plan every step: nothing in here outlives a step.
 *
 * Shapes: tokenIds, positions, slots [T]; queryStart [R + 1]; seqLens [R]; blockTable [R, M]; sampleRows [samples].
 */
export class InputBatch {
  readonly inputs: StepInputs
  readonly limits: BatchLimits
  numTokens = 0
  numRequests = 0

  constructor(device: Device, limits: BatchLimits) {
    const stride = Math.ceil(limits.maxModelLen / limits.blockSize)
    this.limits = limits
    this.inputs = {
      tokenIds: device.int32(limits.maxTokens),
      positions: device.int32(limits.maxTokens),
      slots: device.int32(limits.maxTokens),
      queryStart: device.int32(limits.maxRequests + 1),
      seqLens: device.int32(limits.maxRequests),
      blockTable: device.int32(limits.maxRequests * stride),
      blockTableStride: stride,
      sampleRows: device.int32(limits.maxSamples),
    }
  }

  /** What the constructor allocates. */
  static bytes({ maxTokens, maxRequests, maxModelLen, blockSize, maxSamples }: BatchLimits): number {
    return 4 * (3 * maxTokens + 2 * maxRequests + 1 + maxRequests * Math.ceil(maxModelLen / blockSize) + maxSamples)
  }

  /** Fills the arrays; returns, for each request that samples, the row its logits come from. */
  fill(requests: readonly ScheduledRequest[]): Int32Array {
    const { maxTokens, maxRequests } = this.limits
    assert(requests.length <= maxRequests, () => `${requests.length} requests in a step of ${maxRequests}`)
    const lastRows = new Int32Array(requests.length)
    const { queryStart, seqLens } = this.inputs
    let at = 0
    let samples = 0
    for (let r = 0; r < requests.length; r++) {
      const request = requests[r]!
      assert(at + request.numScheduledTokens <= maxTokens, () => `step is over its ${maxTokens} tokens`)
      queryStart.data[r] = at
      seqLens.data[r] = request.numComputedTokens + request.numScheduledTokens
      this.#fillTokens(request, at)
      this.#fillBlocks(request, r)
      at += request.numScheduledTokens
      if (request.samples) lastRows[samples++] = at - 1
    }
    queryStart.data[requests.length] = at
    this.numTokens = at
    this.numRequests = requests.length
    return lastRows.subarray(0, samples)
  }

  /** The row of the step's tokens that holds a request's position; `r` is its place in the plan. */
  rowOf(r: number, request: ScheduledRequest, position: number): number {
    return this.inputs.queryStart.data[r]! + position - request.numComputedTokens
  }

  /** The place in the plan of the request that a row of the step's tokens belongs to. */
  requestOf(row: number): number {
    const { data } = this.inputs.queryStart
    let r = 0
    while (r + 1 < this.numRequests && data[r + 1]! <= row) r++
    return r
  }

  #fillTokens(request: ScheduledRequest, at: number): void {
    const { tokenIds, positions, slots } = this.inputs
    const { blockSize } = this.limits
    const known = request.tokenIds.length
    for (let i = 0; i < request.numScheduledTokens; i++) {
      const position = request.numComputedTokens + i
      const token = position < known ? request.tokenIds.at(position) : request.draftTokenIds[position - known]
      const block = request.blockIds[Math.floor(position / blockSize)]
      assert(token !== undefined && block !== undefined && block > 0, () =>
        `request ${request.requestId}: position ${position} has token ${token} in block ${block}`)
      tokenIds.data[at + i] = token
      positions.data[at + i] = position
      slots.data[at + i] = position < request.numCachedTokens ? NO_SLOT : block * blockSize + (position % blockSize)
    }
  }

  #fillBlocks(request: ScheduledRequest, row: number): void {
    const { blockTable, blockTableStride } = this.inputs
    const { blockIds } = request
    assert(blockIds.length <= blockTableStride, () => `${request.requestId} holds ${blockIds.length} blocks`)
    const base = row * blockTableStride
    for (let i = 0; i < blockIds.length; i++) blockTable.data[base + i] = blockIds[i]!
  }
}
