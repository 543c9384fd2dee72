import type { ScheduledRequest, StepResult, TokenLogprobs } from "../core/schedule-plan.ts"
import type { Device, Matrix, Staging } from "../tensor/device.ts"
import { InputRing, type StepArray } from "../tensor/step-arrays.ts"
import type { InputBatch } from "./input-batch.ts"
import { FiniteRows } from "./finite-rows.ts"
import { NOT_FINITE } from "./sampler/logits-process.ts"
import type { LogprobsOp } from "./sampler/logprobs-op.ts"

/**
 * Receives the logits of a prompt as they are computed: row i of `rows` [n, V] foretells token `first` + i of the
 * request. The rows are overwritten after the call.
 */
export type PromptLogitsListener = (requestId: string, first: number, rows: Float32Array) => void

/**
 * Log-probabilities of the prompt tokens that a plan asks for: the output head over the rows before them, as many at a
 * time as it takes. Nothing is sampled there, so raw and processed are the same. Waits for the device.
 */
export class PromptLogprobsReader {
  readonly #device: Device
  readonly #batch: InputBatch
  readonly #logits: Matrix
  readonly #op: LogprobsOp
  readonly #ring: InputRing
  readonly #rows: StepArray<Int32Array>
  readonly #ids: StepArray<Int32Array>
  readonly #finite: FiniteRows
  readonly #runHead: (rows: number, count: number) => void
  /** A copy of `#logits` for a listener, made when the first one comes. */
  #hostLogits: Staging | null = null

  /** `runHead` computes the logits of rows of the step, whose numbers lie at a device address. */
  constructor(
    device: Device, batch: InputBatch, logits: Matrix,
    options: { op: LogprobsOp; runHead: (rows: number, count: number) => void },
  ) {
    const { maxSamples } = batch.limits
    this.#device = device
    this.#batch = batch
    this.#logits = logits
    this.#runHead = options.runHead
    this.#op = options.op
    this.#ring = new InputRing(device)
    this.#rows = this.#ring.int32(maxSamples)
    this.#ids = this.#ring.int32(maxSamples)
    this.#ring.allocate()
    this.#finite = new FiniteRows(device, logits, maxSamples)
  }

  /**
   * Adds to the entries and the failures of `result`; requests that have failed already are passed over.
   * Requires: the forward pass of `requests` has run, and nobody needs the logits that are there.
   */
  read(requests: readonly ScheduledRequest[], result: StepResult, listener: PromptLogitsListener | null): void {
    requests.forEach((request, r) => {
      if (request.promptLogprobs === null || result.failures?.has(request.requestId)) return
      const entries = this.#readRequest(request, r, listener)
      if (entries !== null) result.promptLogprobs.set(request.requestId, entries)
      else (result.failures ??= new Map()).set(request.requestId, NOT_FINITE)
    })
  }

  /** Null where the logits are not finite. */
  #readRequest(request: ScheduledRequest, r: number, listener: PromptLogitsListener | null): TokenLogprobs[] | null {
    const { first, end } = request.promptLogprobs!
    const numTop = Math.min(request.sampling.promptLogprobs ?? 0, this.#logits.cols)
    const step = Math.min(this.#batch.limits.maxSamples, this.#op.room(numTop))
    const entries: TokenLogprobs[] = []
    for (let from = first; from < end; from += step) {
      const tokenIds = request.tokenIds.slice(from, Math.min(end, from + step))
      const numRows = tokenIds.length
      this.#ring.begin()
      this.#rows.set(tokenIds.map((_, i) => this.#batch.rowOf(r, request, from + i - 1)))
      this.#ids.set(tokenIds)
      this.#ring.upload()
      this.#runHead(this.#rows.address(), numRows)
      const place = this.#op.queue(this.#logits, this.#ids.address(), { numRows, k: numTop })
      const set = this.#op.download()
      if (this.#finite.findOthers(this.#finite.check(numRows)).length > 0) return null
      listener?.(request.requestId, from, this.#copyLogits(numRows))
      this.#op.wait(set)
      tokenIds.forEach((tokenId, i) => entries.push({ tokenId, ...this.#op.read(set, place, i, numTop) }))
    }
    return entries
  }

  /** [numRows, V] */
  #copyLogits(numRows: number): Float32Array {
    const { address, cols } = this.#logits
    const host = (this.#hostLogits ??= this.#device.staging(this.#batch.limits.maxSamples * cols * 4))
    this.#device.stream.download(host.address, address, numRows * cols * 4)
    this.#device.stream.synchronize()
    return new Float32Array(host.buffer, 0, numRows * cols)
  }
}
