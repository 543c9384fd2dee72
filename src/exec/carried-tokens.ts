import { Args } from "../../ffi/args.ts"
import type { ScheduledRequest } from "../core/schedule-plan.ts"
import { present } from "../base/assert.ts"
import type { Device, DeviceArray } from "../tensor/device.ts"
import { InputRing, type StepArray } from "../tensor/step-arrays.ts"
import type { InputBatch } from "./input-batch.ts"
import type { SampleRow } from "./sampler/sample-row.ts"

/** Puts tokens that one step draws among the inputs of the next, before the host knows them. */
export class CarriedTokens {
  readonly #device: Device
  readonly #ring: InputRing
  readonly #from: StepArray<Int32Array>
  readonly #to: StepArray<Int32Array>
  readonly #args: Args<"bz_scatter_ids">
  /** Of the last sampled step. */
  #rows: readonly SampleRow[] = []

  /** `drawn`: where tokens are drawn to, by row. */
  constructor(device: Device, batch: InputBatch, drawn: DeviceArray) {
    const { maxRequests, maxTokens } = batch.limits
    this.#device = device
    this.#ring = new InputRing(device)
    this.#from = this.#ring.int32(maxRequests)
    this.#to = this.#ring.int32(maxRequests)
    this.#ring.allocate()
    this.#args = new Args("bz_scatter_ids", {
      num_src: drawn.length, num_dst: maxTokens, src: drawn.address, src_rows: this.#from.address(),
      dst_rows: this.#to.address(), dst: batch.inputs.tokenIds,
    })
  }

  /** A step is sampled. */
  remember(rows: readonly SampleRow[]): void {
    this.#rows = rows
  }

  /** After the batch is filled with `requests`, before anything reads it. Requires: the step before is sampled. */
  carry(requests: readonly ScheduledRequest[], batch: InputBatch): void {
    if (!requests.some(({ numUnknownTokens }) => numUnknownTokens > 0)) return
    // Requests with drafts are not planned ahead: each of these has one row.
    const rowOf = new Map(this.#rows.map(({ request }, row) => [request.requestId, row]))
    const from: number[] = []
    const to: number[] = []
    requests.forEach((request, r) => {
      if (request.numUnknownTokens === 0) return
      from.push(present(rowOf.get(request.requestId), `a token of ${request.requestId} on the device`))
      to.push(batch.rowOf(r, request, request.tokenIds.length))
    })
    this.#ring.begin()
    this.#from.set(from)
    this.#to.set(to)
    this.#ring.upload()
    this.#device.stream.run("bz_scatter_ids", this.#args.set({ num_ids: from.length }))
  }
}
