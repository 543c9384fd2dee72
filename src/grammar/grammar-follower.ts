import type { RequestFailure, SchedulePlan } from "../core/schedule-plan.ts"
import type { TokenMasks } from "../core/token-masks.ts"
import type { FromMatcher, MaskMemory, ToMatcher } from "./protocol.ts"
import { RowStatus, SharedMasks } from "./shared-masks.ts"

/** Masks of a step, with the requests whose texts can no longer be followed, by id. */
export interface FollowedMasks extends TokenMasks {
  readonly failures: ReadonlyMap<string, RequestFailure>
}

/** A mask takes a fraction of a millisecond, a cold one up to 0.1 s; a thread that takes longer is lost. */
const MASK_MILLISECONDS = 10_000

const LOST: RequestFailure = {
  message: "The thread that follows this request's grammar was lost.", isCallersFault: false,
}
const LATE: RequestFailure = {
  message: `This request's grammar gave no mask within ${MASK_MILLISECONDS / 1000} seconds.`, isCallersFault: false,
}

/**
 * On the thread that runs steps: has the grammar thread follow the texts of running requests, and gets the masks of
 * their next tokens, which are made while the forward pass of the step runs.
 */
export class GrammarFollower {
  #port: MessagePort | null = null
  #masks: SharedMasks | null = null
  #sequence = 0
  /** Request id -> output tokens that the grammar thread was told of. */
  readonly #followed = new Map<string, number>()
  /** By request id, until it ends. */
  readonly #failures = new Map<string, RequestFailure>()
  /** Where a request's rows of the step begin. */
  #rowOf = new Map<string, number>()

  /** A new grammar thread: what the one before it followed has failed. */
  connect(port: MessagePort, memory: MaskMemory): void {
    for (const requestId of this.#followed.keys()) this.#failures.set(requestId, LOST)
    this.#port?.close()
    this.#port = port
    this.#masks = new SharedMasks(memory, memory.buffer)
    this.#sequence = 0
    port.onmessage = (event: { readonly data: unknown }) => {
      const message = event.data as FromMatcher
      if (message.type === "failed") this.#failures.set(message.requestId, againstGrammar(message.words))
    }
  }

  /** Requires: a connection. */
  start(requestId: string, grammarId: number): void {
    this.#followed.set(requestId, 0)
    this.#post({ type: "start", requestId, grammarId })
  }

  /** A step is planned: has its masks made. */
  begin({ requests, finishedRequestIds }: SchedulePlan): void {
    for (const requestId of finishedRequestIds) this.#finish(requestId)
    this.#rowOf = new Map()
    const advances: { requestId: string; tokenIds: number[] }[] = []
    const rows: { requestId: string; row: number; draftIds: readonly number[] }[] = []
    let row = 0
    for (const { requestId, samples, tokenIds, numPromptTokens, draftTokenIds: draftIds } of requests) {
      const numTold = this.#followed.get(requestId)
      if (numTold === undefined || !samples || this.#failures.has(requestId)) continue
      const numOutput = tokenIds.length - numPromptTokens
      if (numOutput > numTold) advances.push({ requestId, tokenIds: tokenIds.slice(numPromptTokens + numTold) })
      this.#followed.set(requestId, numOutput)
      rows.push({ requestId, row, draftIds })
      this.#rowOf.set(requestId, row)
      row += 1 + draftIds.length
    }
    if (rows.length === 0) return
    this.#sequence += 1
    this.#post({ type: "step", sequence: this.#sequence, advances, rows })
  }

  /** Waits for the masks of the step that has begun; null: none of its requests has a grammar. */
  masks({ requests }: SchedulePlan): FollowedMasks | null {
    const failures = new Map<string, RequestFailure>()
    for (const { requestId } of requests) {
      const failure = this.#failures.get(requestId)
      if (failure !== undefined) failures.set(requestId, failure)
    }
    const [masks, rowOf] = [this.#masks, this.#rowOf]
    if (masks === null || rowOf.size === 0) return failures.size === 0 ? null : { failures, maskOf: () => null }
    const isInTime = masks.wait(this.#sequence, MASK_MILLISECONDS)
    for (const [requestId, row] of rowOf) {
      if (!isInTime) failures.set(requestId, LATE)
      else if (masks.status(row) === RowStatus.failed) failures.set(requestId, this.#failureOf(requestId))
    }
    const maskOf = (requestId: string, numDrafts: number): Uint32Array | null => {
      const first = rowOf.get(requestId)
      if (first === undefined || masks.status(first + numDrafts) !== RowStatus.masked) return null
      return masks.row(first + numDrafts)
    }
    return { failures, maskOf }
  }

  /** The grammar thread's words may still be on their way. */
  #failureOf(requestId: string): RequestFailure {
    return this.#failures.get(requestId) ?? againstGrammar("its text left the grammar")
  }

  #finish(requestId: string): void {
    this.#failures.delete(requestId)
    if (this.#followed.delete(requestId)) this.#post({ type: "finish", requestId })
  }

  #post(message: ToMatcher): void {
    this.#port?.postMessage(message)
  }
}

function againstGrammar(words: string): RequestFailure {
  return { message: `This request's grammar cannot be followed any further: ${words}.`, isCallersFault: true }
}
