import { assert } from "../base/assert.ts"
import type { ScheduledRequest } from "../core/schedule-plan.ts"
import type { GroupInputs } from "../model/stage.ts"
import type { InputRing, StepArray } from "../tensor/step-arrays.ts"

/** What the batch has to know of a KV cache group. */
export interface GroupShape {
  readonly blockSize: number
  /** Its layers keep one state a request. */
  readonly holdsState: boolean
}

export interface GroupLimits {
  readonly maxTokens: number
  readonly maxRequests: number
  readonly maxModelLen: number
}

/** The arrays of one KV cache group, filled request by request. */
export interface GroupArrays {
  inputs(): GroupInputs
  /** Of a request with its block table in this group. `row`: its place in the step; `at`: its first token's. */
  fill(request: ScheduledRequest, blockIds: readonly number[], place: { row: number; at: number }): void
  /** To be called once all requests are in: `padded` rows take part, of which the first `numTokens` are tokens. */
  finish(counts: { numTokens: number; numRequests: number; padded: number }): void
}

/** Of a token whose KV is there already: nothing is stored. */
const NO_SLOT = -1
/** Of a request without tokens before this step. */
const NO_STATE = -1

export function groupArrays(ring: InputRing, shape: GroupShape, limits: GroupLimits): GroupArrays {
  const { blockSize, holdsState } = shape
  return holdsState ? new StateSlots(ring, blockSize, limits) : new TokenSlots(ring, blockSize, limits)
}

/** Of layers that keep something for every token: slots [T], block table [R, M]. */
class TokenSlots implements GroupArrays {
  readonly #blockSize: number
  readonly #stride: number
  readonly #slots: StepArray<Int32Array>
  readonly #blockTable: StepArray<Int32Array>

  constructor(ring: InputRing, blockSize: number, { maxTokens, maxRequests, maxModelLen }: GroupLimits) {
    this.#blockSize = blockSize
    this.#stride = Math.ceil(maxModelLen / blockSize)
    this.#slots = ring.int32(maxTokens)
    this.#blockTable = ring.int32(maxRequests * this.#stride)
  }

  inputs(): GroupInputs {
    return {
      slots: this.#slots.address(), blockTable: this.#blockTable.address(), blockTableStride: this.#stride,
      readSlots: 0, writeSlots: 0,
    }
  }

  fill(request: ScheduledRequest, blockIds: readonly number[], { row, at }: { row: number; at: number }): void {
    const [blockSize, stride, slotOf, table] = [this.#blockSize, this.#stride, this.#slots.data, this.#blockTable.data]
    const { requestId, numScheduledTokens, numComputedTokens, numCachedTokens } = request
    assert(blockIds.length <= stride, () => `${requestId} holds ${blockIds.length} blocks`)
    for (let i = 0; i < numScheduledTokens; i++) {
      const position = numComputedTokens + i
      const block = blockIds[Math.floor(position / blockSize)]
      assert(block !== undefined && block > 0, () => `request ${requestId}: position ${position} is in block ${block}`)
      slotOf[at + i] = position < numCachedTokens ? NO_SLOT : block * blockSize + (position % blockSize)
    }
    for (let i = 0; i < blockIds.length; i++) table[row * stride + i] = blockIds[i]!
  }

  finish({ numTokens, numRequests, padded }: { numTokens: number; numRequests: number; padded: number }): void {
    if (padded > numTokens) this.#slots.data.fill(NO_SLOT, numTokens, padded)
    this.#slots.used = Math.max(numTokens, padded)
    this.#blockTable.used = numRequests * this.#stride
  }
}

/**
 * Of layers that keep a state: readSlots, writeSlots [R]. A slot is a block id. A step reads the state from the block
 * of the last token before it and leaves it in the block of its own last token: the same block, unless a step passes
 * the end of one, which then keeps the state as it was there. Block 0 is nobody's.
 */
class StateSlots implements GroupArrays {
  readonly #blockSize: number
  readonly #readSlots: StepArray<Int32Array>
  readonly #writeSlots: StepArray<Int32Array>

  constructor(ring: InputRing, blockSize: number, { maxRequests }: GroupLimits) {
    this.#blockSize = blockSize
    this.#readSlots = ring.int32(maxRequests)
    this.#writeSlots = ring.int32(maxRequests)
  }

  inputs(): GroupInputs {
    return {
      slots: 0, blockTable: 0, blockTableStride: 0,
      readSlots: this.#readSlots.address(), writeSlots: this.#writeSlots.address(),
    }
  }

  fill(request: ScheduledRequest, blockIds: readonly number[], { row }: { row: number }): void {
    const { requestId, numScheduledTokens, numComputedTokens, draftTokenIds } = request
    assert(draftTokenIds.length === 0, () => `request ${requestId}: a state cannot take back a draft`)
    const slotAt = (position: number): number => {
      const block = blockIds[Math.floor(position / this.#blockSize)]
      assert(block !== undefined && block > 0, () => `request ${requestId}: the state at ${position} is in ${block}`)
      return block
    }
    this.#readSlots.data[row] = numComputedTokens === 0 ? NO_STATE : slotAt(numComputedTokens - 1)
    this.#writeSlots.data[row] = slotAt(numComputedTokens + numScheduledTokens - 1)
  }

  finish({ numRequests, padded }: { numRequests: number; padded: number }): void {
    const numRows = Math.max(numRequests, padded)
    for (const slots of [this.#readSlots, this.#writeSlots]) {
      slots.data.fill(NO_STATE, numRequests, numRows)
      slots.used = numRows
    }
  }
}
