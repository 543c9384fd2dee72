import { assert } from "../../src/base/assert.ts"
import type {
  RequestFailure, ScheduledRequest, SchedulePlan, StepResult, TokenLogprobs,
} from "../../src/core/schedule-plan.ts"
import { FIRST_STATE, firstVisible, fold, judge, type LayerWindows, mix, toToken } from "./fake-model.ts"

/** What a real runner would keep of a request between steps. */
interface Row {
  blockIds: number[][]
  /** The position that the next step must begin at. */
  nextPosition: number
  /** Position -> the token that was sampled for it: what a device knows before the scheduler. */
  readonly sampled: Map<number, number>
}

/** The model's two layers and where their KV goes: layer l lives in group `groupOf[l]`, in memory `memoryOf[l]`. */
export interface FakeRunnerConfig {
  readonly windows: LayerWindows
  readonly groupOf: readonly [number, number]
  readonly memoryOf: readonly [number, number]
  /** The group of the state, which shares layer 0's memory, or null. */
  readonly stateGroup: number | null
  readonly numBlocks: number
  /** By group. */
  readonly blockSizes: readonly number[]
  /** By request id: what sets its KV apart. */
  readonly saltOf: (requestId: string) => number
  /** Asked once a step and request: whether what it computes for the request is spoiled. */
  readonly spoils: (requestId: string) => boolean
}

/** What is not finite; whoever reads it computes it too. */
const SPOILED = 0x7fff_ffff
const NOT_FINITE: RequestFailure = { message: "not finite", isCallersFault: false, spoilsCache: true }

/**
 * Runs the fake model over a paged KV cache, reading and writing through block tables alone, and holds the scheduler
 * to what a runner relies on: rows are made before they are used, positions follow each other, block tables only
 * grow or lose cells to the null block, and no two requests write one block.
 */
export class FakeRunner {
  readonly #config: FakeRunnerConfig
  /** A slot's value, by memory. */
  readonly #memories: Int32Array[]
  /** Slots of a page: as many as the largest block has. */
  readonly #pageSize: number
  readonly #rows = new Map<string, Row>()

  constructor(config: FakeRunnerConfig) {
    this.#config = config
    const numMemories = 1 + Math.max(...config.memoryOf)
    this.#pageSize = Math.max(...config.blockSizes)
    this.#memories = Array.from({ length: numMemories }, () => new Int32Array(config.numBlocks * this.#pageSize))
  }

  get numRows(): number {
    return this.#rows.size
  }

  execute(plan: SchedulePlan): StepResult {
    for (const id of plan.finishedRequestIds) this.#rows.delete(id)
    for (const id of plan.preemptedRequestIds) this.#rows.delete(id)
    const result: StepResult = { sampledTokenIds: new Map(), logprobs: new Map(), promptLogprobs: new Map() }
    const writers = new Map<number, string>()
    for (const request of plan.requests) {
      const row = this.#updateRow(request)
      this.#checkWrites(request, writers)
      const judged: TokenLogprobs[] = []
      const sampled = this.#forward(request, { row, writers }, judged)
      row.nextPosition = request.numComputedTokens + request.numScheduledTokens
      if (sampled === null) {
        ;(result.failures ??= new Map()).set(request.requestId, NOT_FINITE)
        continue
      }
      if (judged.length > 0) result.promptLogprobs.set(request.requestId, judged)
      if (request.samples) result.sampledTokenIds.set(request.requestId, sampled)
      const numRejected = request.samples ? request.draftTokenIds.length + 1 - sampled.length : 0
      row.nextPosition -= numRejected
    }
    return result
  }

  #updateRow(request: ScheduledRequest): Row {
    const { requestId, isNew, numComputedTokens, blockIdsByGroup } = request
    const before = this.#rows.get(requestId)
    assert(isNew === (before === undefined), () => `${requestId}: isNew=${isNew}, but row=${before !== undefined}`)
    assert(request.blockIds === blockIdsByGroup[0], () => `${requestId}: blockIds is not the first group's table`)
    const blockIds = blockIdsByGroup.map((ids) => ids.slice())
    const row: Row = { blockIds, nextPosition: numComputedTokens, sampled: before?.sampled ?? new Map() }
    this.#rows.set(requestId, row)
    if (before === undefined) return row
    assert(before.nextPosition === numComputedTokens, () => `${requestId}: at ${numComputedTokens}, not in sequence`)
    for (const [g, ids] of before.blockIds.entries()) {
      for (const [i, id] of ids.entries()) {
        const now = blockIdsByGroup[g]?.[i]
        assert(now === id || now === 0, () => `${requestId}: block table cell ${i} went from ${id} to ${now}`)
      }
    }
    return row
  }

  #checkWrites(request: ScheduledRequest, writers: Map<number, string>): void {
    const { numComputedTokens, numScheduledTokens, blockIdsByGroup, requestId } = request
    const end = numComputedTokens + numScheduledTokens
    for (const [g, ids] of blockIdsByGroup.entries()) {
      const blockSize = this.#config.blockSizes[g] as number
      const lastCell = Math.floor((end - 1) / blockSize)
      const firstCell = Math.floor(Math.max(numComputedTokens, request.numCachedTokens) / blockSize)
      for (let cell = g === this.#config.stateGroup ? lastCell : firstCell; cell <= lastCell; cell++) {
        const id = ids[cell]
        assert(id !== undefined && id !== 0, () => `${requestId}: no block to write for cell ${cell}`)
        assert(!writers.has(id), () => `${requestId} and ${writers.get(id)} both write block ${id}`)
        writers.set(id, requestId)
      }
    }
  }

  /** Where the state after `position` is kept. */
  #stateSlot(request: ScheduledRequest, group: number, position: number): { id: number; slot: number } {
    const cell = Math.floor(position / (this.#config.blockSizes[group] as number))
    const id = request.blockIdsByGroup[group]?.[cell]
    assert(id !== undefined && id !== 0, () => `${request.requestId}: no state after ${position}`)
    return { id, slot: id * this.#pageSize }
  }

  /** The state that the step begins with. All requests of a step read before anything of the step is written. */
  #readState(request: ScheduledRequest, writers: ReadonlyMap<number, string>): number | null {
    const { stateGroup } = this.#config
    if (stateGroup === null) return null
    if (request.numComputedTokens === 0) return FIRST_STATE
    const { id, slot } = this.#stateSlot(request, stateGroup, request.numComputedTokens - 1)
    const writer = writers.get(id) ?? request.requestId
    assert(writer === request.requestId, () => `${request.requestId} reads a state that ${writer} writes in this step`)
    return this.#memory(0)[slot] as number
  }

  /**
   * Computes the scheduled positions; returns the tokens that follow, as far as the drafts were right, or null: a value
   * is spoiled. Appends to `judged` what the plan asks to know of prompt tokens.
   */
  #forward(
    request: ScheduledRequest,
    { row, writers }: { row: Row; writers: ReadonlyMap<number, string> },
    judged: TokenLogprobs[],
  ): number[] | null {
    const { tokenIds, draftTokenIds, numComputedTokens, numScheduledTokens, promptLogprobs } = request
    const { windows, saltOf } = this.#config
    const salt = saltOf(request.requestId)
    const end = numComputedTokens + numScheduledTokens
    /** The last token that is not a draft. */
    const last = request.samples ? end - draftTokenIds.length - 1 : Infinity
    const firstUnknown = end - draftTokenIds.length - request.numUnknownTokens
    const sampled: number[] = []
    let isAccepting = true
    let state = this.#readState(request, writers)
    const isSpoiling = this.#config.spoils(request.requestId)
    let isSpoiled = isSpoiling
    for (let p = numComputedTokens; p < end; p++) {
      const known = p < firstUnknown ? tokenIds.at(p) : row.sampled.get(p)
      const tokenId = p > last ? draftTokenIds[p - last - 1] : known
      assert(tokenId !== undefined, () => `${request.requestId}: no token at ${p}`)
      this.#write(request, 0, p, isSpoiling ? SPOILED : mix(tokenId, p, salt))
      this.#write(request, 1, p, this.#attend(request, 0, p, windows[0]))
      const attended = this.#attend(request, 1, p, windows[1])
      if (state !== null) state = fold2(state, this.#memory(1)[this.#slot(request, 1, p)] as number)
      const output = state === null ? attended : fold2(attended, state)
      isSpoiled ||= output === SPOILED
      if (promptLogprobs !== null && p + 1 >= promptLogprobs.first && p + 1 < promptLogprobs.end) {
        judged.push(judge(output, tokenIds.at(p + 1) as number, request.sampling.promptLogprobs ?? 0))
      }
      if (p < last || !isAccepting) continue
      const next = toToken(output)
      sampled.push(next)
      row.sampled.set(p + 1, next)
      isAccepting = draftTokenIds[p - last] === next
    }
    const { stateGroup } = this.#config
    if (stateGroup !== null) this.#memory(0)[this.#stateSlot(request, stateGroup, end - 1).slot] = state as number
    return isSpoiled ? null : sampled
  }

  #attend(request: ScheduledRequest, layer: 0 | 1, position: number, window: number): number {
    const memory = this.#memory(layer)
    let hash = 1
    for (let p = firstVisible(position, window); p <= position; p++) {
      const value = memory[this.#slot(request, layer, p)] as number
      if (value === SPOILED) return SPOILED
      hash = fold(hash, value)
    }
    return hash
  }

  /** What is cached is not written again, so it has to be there. */
  #write(request: ScheduledRequest, layer: 0 | 1, position: number, value: number): void {
    const [memory, slot] = [this.#memory(layer), this.#slot(request, layer, position)]
    if (position >= request.numCachedTokens) {
      memory[slot] = value
      return
    }
    const isRight = memory[slot] === value || memory[slot] === SPOILED || value === SPOILED
    assert(isRight, () => `${request.requestId}: the cache is wrong at ${position}`)
  }

  #slot(request: ScheduledRequest, layer: 0 | 1, position: number): number {
    const { blockSizes, groupOf } = this.#config
    const blockSize = blockSizes[groupOf[layer]] as number
    const id = request.blockIdsByGroup[groupOf[layer]]?.[Math.floor(position / blockSize)]
    assert(id !== undefined && id !== 0, () => `${request.requestId}: layer ${layer} has no block for ${position}`)
    return id * this.#pageSize + (position % blockSize)
  }

  #memory(layer: 0 | 1): Int32Array {
    return this.#memories[this.#config.memoryOf[layer]] as Int32Array
  }
}

/** As `fold`; what is spoiled stays so. */
function fold2(hash: number, value: number): number {
  return hash === SPOILED || value === SPOILED ? SPOILED : fold(hash, value)
}
