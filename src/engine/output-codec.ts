/**
 * A step's outputs on their way between threads. Cloning an object a request costs more than all else that the engine
 * does for a token, and nearly all outputs say the same: one token more. Those go as numbers in one array; their
 * requests are named only when they are not those of the step before.
 */
import { assert } from "../base/assert.ts"
import type { EngineCoreOutput } from "../core/engine-core-output.ts"

export interface PackedOutputs {
  /** Of the plain outputs, in their order; null where they are the last message's. */
  readonly requestIds: readonly string[] | null
  /** A token each. */
  readonly tokenIds: Int32Array
  /** All other outputs, as they are. */
  readonly others: readonly EngineCoreOutput[]
}

const NOTHING: Omit<EngineCoreOutput, "requestId" | "newTokenIds"> = {
  logprobs: null, promptLogprobs: null, finishReason: null, stopReason: null, events: [], prefillStats: null,
  draft: null,
}

function isPlain(output: EngineCoreOutput): boolean {
  return output.newTokenIds.length === 1 && output.finishReason === null && output.stopReason === null &&
    output.logprobs === null && output.promptLogprobs === null && output.prefillStats === null &&
    output.draft === null && output.failure === undefined && output.events.length === 0
}

/** The sending side. Every message must reach the decoder that got the ones before it. */
export class OutputEncoder {
  #requestIds: readonly string[] = []

  encode(outputs: readonly EngineCoreOutput[]): PackedOutputs {
    const plain: EngineCoreOutput[] = []
    const others: EngineCoreOutput[] = []
    for (const output of outputs) (isPlain(output) ? plain : others).push(output)
    const tokenIds = Int32Array.from(plain, ({ newTokenIds }) => newTokenIds[0]!)
    const last = this.#requestIds
    if (plain.length === last.length && plain.every(({ requestId }, i) => requestId === last[i]))
      return { requestIds: null, tokenIds, others }
    this.#requestIds = plain.map(({ requestId }) => requestId)
    return { requestIds: this.#requestIds, tokenIds, others }
  }
}

/** The receiving side. */
export class OutputDecoder {
  #requestIds: readonly string[] = []

  /** The plain outputs first: between requests there is no order. */
  decode({ requestIds, tokenIds, others }: PackedOutputs): EngineCoreOutput[] {
    if (requestIds !== null) this.#requestIds = requestIds
    const ids = this.#requestIds
    assert(ids.length === tokenIds.length, () => `${tokenIds.length} tokens for ${ids.length} requests`)
    const outputs: EngineCoreOutput[] = ids.map((requestId, i) => ({
      ...NOTHING, requestId, newTokenIds: [tokenIds[i]!],
    }))
    for (const output of others) outputs.push(output)
    return outputs
  }
}
