import { assert } from "../base/assert.ts"
import type { ScheduledRequest } from "../core/schedule-plan.ts"
import type { StepInputs } from "../model/graph-builder.ts"
import type { Device, DeviceArray } from "../tensor/device.ts"
import { InputRing, type StepArray } from "../tensor/step-arrays.ts"

export interface BatchLimits {
  /** T at most. */
  readonly maxTokens: number
  /** R at most. */
  readonly maxRequests: number
  readonly blockSize: number
  readonly maxModelLen: number
  /** Rows the output head takes at a time. */
  readonly maxSamples: number
  /** Rows of one step that are sampled: its requests, and the positions after their drafts. */
  readonly maxSampleRows: number
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
  readonly #ring: InputRing
  readonly #tokenIds: StepArray<Int32Array>
  readonly #positions: StepArray<Int32Array>
  readonly #slots: StepArray<Int32Array>
  readonly #queryStart: StepArray<Int32Array>
  readonly #seqLens: StepArray<Int32Array>
  readonly #blockTable: StepArray<Int32Array>
  /** The slice of the sampled rows that the head works on. */
  readonly sampleRows: DeviceArray
  numTokens = 0
  numRequests = 0

  constructor(device: Device, limits: BatchLimits) {
    const stride = Math.ceil(limits.maxModelLen / limits.blockSize)
    const ring = new InputRing(device)
    this.limits = limits
    this.#ring = ring
    this.#tokenIds = ring.int32(limits.maxTokens)
    this.#positions = ring.int32(limits.maxTokens)
    this.#slots = ring.int32(limits.maxTokens)
    this.#queryStart = ring.int32(limits.maxRequests + 1)
    this.#seqLens = ring.int32(limits.maxRequests)
    this.#blockTable = ring.int32(limits.maxRequests * stride)
    ring.allocate()
    this.sampleRows = device.array("I32", limits.maxSamples)
    this.inputs = {
      tokenIds: this.#tokenIds.address(), positions: this.#positions.address(), slots: this.#slots.address(),
      queryStart: this.#queryStart.address(), seqLens: this.#seqLens.address(),
      blockTable: this.#blockTable.address(), blockTableStride: stride, sampleRows: this.sampleRows.address,
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
    let at = 0
    for (let r = 0; r < requests.length; r++) {
      const request = requests[r]!
      assert(at + request.numScheduledTokens <= maxTokens, () => `step is over its ${maxTokens} tokens`)
      queryStart[r] = at
      seqLens[r] = request.numComputedTokens + request.numScheduledTokens
      this.#fillTokens(request, at)
      this.#fillBlocks(request, r)
      at += request.numScheduledTokens
    }
    queryStart[requests.length] = at
    this.numTokens = at
    this.numRequests = requests.length
    this.#pad(padded)
    const numRows = Math.max(padded, requests.length)
    for (const array of [this.#tokenIds, this.#positions, this.#slots]) array.used = Math.max(at, padded)
    this.#queryStart.used = numRows + 1
    this.#seqLens.used = numRows
    this.#blockTable.used = requests.length * this.inputs.blockTableStride
    this.#ring.upload()
  }

  /** The row of the step's tokens that holds a request's position; `r` is its place in the plan. */
  rowOf(r: number, request: ScheduledRequest, position: number): number {
    return this.#queryStart.data[r]! + position - request.numComputedTokens
  }

  /** The place in the plan of the request that a row of the step's tokens belongs to. */
  requestOf(row: number): number {
    const { data } = this.#queryStart
    let r = 0
    while (r + 1 < this.numRequests && data[r + 1]! <= row) r++
    return r
  }

  /** The last row of a request's tokens; `r` is its place in the plan. */
  lastRowOf(r: number): number {
    return this.#queryStart.data[r + 1]! - 1
  }

  #fillTokens(request: ScheduledRequest, at: number): void {
    const [tokenIds, positions, slots] = [this.#tokenIds.data, this.#positions.data, this.#slots.data]
    const { blockSize } = this.limits
    const known = request.tokenIds.length
    for (let i = 0; i < request.numScheduledTokens; i++) {
      const position = request.numComputedTokens + i
      const token = position < known ? request.tokenIds.at(position) : request.draftTokenIds[position - known]
      const block = request.blockIds[Math.floor(position / blockSize)]
      assert(token !== undefined && block !== undefined && block > 0, () =>
        `request ${request.requestId}: position ${position} has token ${token} in block ${block}`)
      tokenIds[at + i] = token
      positions[at + i] = position
      slots[at + i] = position < request.numCachedTokens ? NO_SLOT : block * blockSize + (position % blockSize)
    }
  }

  /** See "Padding" in baozi.h. */
  #pad(padded: number): void {
    const { numTokens, numRequests } = this
    if (padded <= numTokens) return
    this.#tokenIds.data.fill(0, numTokens, padded)
    this.#positions.data.fill(0, numTokens, padded)
    this.#slots.data.fill(NO_SLOT, numTokens, padded)
    this.#queryStart.data.fill(numTokens, numRequests + 1, padded + 1)
    this.#seqLens.data.fill(0, numRequests, padded)
  }

  #fillBlocks(request: ScheduledRequest, row: number): void {
    const { blockTableStride } = this.inputs
    const { blockIds } = request
    assert(blockIds.length <= blockTableStride, () => `${request.requestId} holds ${blockIds.length} blocks`)
    const table = this.#blockTable.data
    const base = row * blockTableStride
    for (let i = 0; i < blockIds.length; i++) table[base + i] = blockIds[i]!
  }
}
