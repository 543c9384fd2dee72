/**
 * Turns the logits of a step's sampled rows into tokens, in native code over the whole batch.
 *
 * Order (vLLM V1): copy raw logits of rows that want log-probabilities; allowed ids, bad words, min tokens, logit bias,
 * penalties, logits processors; temperature, min-p, top-k, top-p, draw; log-probabilities of what was drawn, from the
 * raw copy or, in the processed modes, from what it was drawn from.
 *
 * Shapes: logits [samples, V]. Row i belongs to `requests[i]`. Arrays are reused from step to step and rebuilt in each.
 */
import { Args } from "../../../ffi/args.ts"
import { assert } from "../../base/assert.ts"
import type { RequestFailure, ScheduledRequest, SchedulePlan, TokenLogprobs } from "../../core/schedule-plan.ts"
import type { Device, HostArray, Matrix } from "../../tensor/device.ts"
import type { LogitsProcessor } from "../logits-processors/interface.ts"
import { LogitsProcessorRows } from "../logits-processors/rows.ts"
import { appendLogitEdits, hasLogitEdits, type LogitEdits } from "./logit-edits.ts"
import type { LogprobsMode } from "../../core/logprobs-mode.ts"
import { LogprobsReader } from "./logprobs-reader.ts"
import { usesPenalties, TokenHistory } from "./token-history.ts"

export interface SamplerOutput {
  readonly tokenIds: Int32Array
  /** By row; null where the request did not ask. */
  readonly logprobs: readonly (TokenLogprobs | null)[]
  /** By request id; what was sampled for these counts for nothing. */
  readonly failures: ReadonlyMap<string, RequestFailure>
}

export interface SamplerOptions {
  /** Rows of logits at once, at most. */
  readonly maxSamples: number
  readonly maxModelLen: number
  readonly logprobsMode: LogprobsMode
  readonly logitsProcessors: readonly LogitsProcessor[]
}

export class Sampler {
  readonly #device: Device
  readonly #logits: Matrix
  readonly #maxRows: number
  readonly #temperature: HostArray<Float32Array>
  readonly #topP: HostArray<Float32Array>
  readonly #minP: HostArray<Float32Array>
  readonly #topK: HostArray<Int32Array>
  readonly #seeds: HostArray<Uint32Array>
  readonly #positions: HostArray<Int32Array>
  readonly #out: HostArray<Int32Array>
  readonly #sample: Args<"sample">
  readonly #process: Args<"logitsProcess">
  readonly #starts: HostArray<Int32Array>
  readonly #allowStarts: HostArray<Int32Array>
  readonly #history: TokenHistory
  readonly #logprobs: LogprobsReader
  readonly #processors: LogitsProcessorRows
  #edits: { ids: HostArray<Int32Array>; values: HostArray<Float32Array>; capacity: number } | null = null
  #allowed: { ids: HostArray<Int32Array>; capacity: number } | null = null

  constructor(device: Device, logits: Matrix, options: SamplerOptions) {
    const { maxSamples: maxRows, maxModelLen, logprobsMode: mode } = options
    this.#device = device
    this.#logits = logits
    this.#maxRows = maxRows
    this.#temperature = device.float32(maxRows)
    this.#topP = device.float32(maxRows)
    this.#minP = device.float32(maxRows)
    this.#topK = device.int32(maxRows)
    this.#seeds = device.uint32(maxRows * 2)
    this.#positions = device.int32(maxRows)
    this.#out = device.int32(maxRows)
    this.#starts = device.int32(maxRows + 1)
    this.#allowStarts = device.int32(maxRows + 1)
    this.#history = new TokenHistory(device, maxRows, maxModelLen)
    this.#logprobs = new LogprobsReader(device, logits, { maxRows, mode })
    this.#processors = new LogitsProcessorRows(device, logits, options.logitsProcessors)
    this.#sample = new Args("sample", {
      vocab_size: logits.cols, logits: logits.address, logits_stride: logits.stride,
      temperature: this.#temperature.address, top_p: this.#topP.address, min_p: this.#minP.address,
      top_k: this.#topK.address, seeds: this.#seeds.address, positions: this.#positions.address,
      out: this.#out.address,
    })
    this.#process = new Args("logitsProcess", {
      vocab_size: logits.cols, logits: logits.address, logits_stride: logits.stride,
    })
  }

  /** Forgets the requests that have left. */
  leave(plan: SchedulePlan): void {
    this.#processors.leave(plan)
  }

  /** `tokenIds` is valid until the next call. */
  sample(requests: readonly ScheduledRequest[]): SamplerOutput {
    assert(requests.length <= this.#maxRows, () => `${requests.length} rows to sample, room for ${this.#maxRows}`)
    this.#logprobs.keepRaw(requests)
    this.#processLogits(requests)
    const failures = this.#processors.apply(requests)
    requests.forEach((request, row) => this.#fillRow(request, row))
    const processed = this.#logprobs.processed
    this.#sample.set({
      num_requests: requests.length, out_processed: processed?.address ?? 0, processed_stride: processed?.stride ?? 0,
    })
    this.#device.stream.run("bz_sample", this.#sample)
    const tokenIds = this.#out.data.subarray(0, requests.length)
    return { tokenIds, logprobs: this.#logprobs.read(requests, tokenIds), failures }
  }

  #fillRow(request: ScheduledRequest, row: number): void {
    const p = request.sampling
    this.#temperature.data[row] = p.temperature
    this.#topP.data[row] = p.topP
    this.#minP.data[row] = p.minP
    this.#topK.data[row] = p.topK
    this.#positions.data[row] = request.tokenIds.length
    const seed = BigInt.asUintN(64, p.seed ?? 0n)
    assert(p.seed !== null || p.temperature < 1e-5, () => `request ${request.requestId} samples without a seed`)
    this.#seeds.data[2 * row] = Number(seed & 0xffff_ffffn)
    this.#seeds.data[2 * row + 1] = Number(seed >> 32n)
  }

  #processLogits(requests: readonly ScheduledRequest[]): void {
    const edits = requests.some(hasLogitEdits)
    const allowed = requests.some((r) => r.sampling.allowedTokenIds !== null)
    const penalties = requests.some(usesPenalties)
    if (!edits && !allowed && !penalties) return
    this.#process.set({
      num_requests: requests.length,
      ...(edits ? this.#fillEdits(requests) : NO_EDITS),
      ...(allowed ? this.#fillAllowed(requests) : NO_ALLOWED),
      ...(penalties ? this.#history.fill(requests) : TokenHistory.NONE),
    })
    this.#device.stream.run("bz_logits_process", this.#process)
  }

  #fillEdits(requests: readonly ScheduledRequest[]): { edit_start: number; edit_ids: number; edit_values: number } {
    const list: LogitEdits = { ids: [], values: [] }
    requests.forEach((request, row) => {
      this.#starts.data[row] = list.ids.length
      appendLogitEdits(request, list)
    })
    this.#starts.data[requests.length] = list.ids.length
    if (this.#edits === null || this.#edits.capacity < list.ids.length) {
      const capacity = Math.max(256, 2 * list.ids.length)
      this.#edits = { ids: this.#device.int32(capacity), values: this.#device.float32(capacity), capacity }
    }
    this.#edits.ids.data.set(list.ids)
    this.#edits.values.data.set(list.values)
    return {
      edit_start: this.#starts.address, edit_ids: this.#edits.ids.address, edit_values: this.#edits.values.address,
    }
  }

  #fillAllowed(requests: readonly ScheduledRequest[]): { allow_start: number; allow_ids: number } {
    const ids: number[] = []
    requests.forEach((request, row) => {
      this.#allowStarts.data[row] = ids.length
      for (const id of request.sampling.allowedTokenIds ?? []) ids.push(id)
    })
    this.#allowStarts.data[requests.length] = ids.length
    if (this.#allowed === null || this.#allowed.capacity < ids.length) {
      const capacity = Math.max(256, 2 * ids.length)
      this.#allowed = { ids: this.#device.int32(capacity), capacity }
    }
    this.#allowed.ids.data.set(ids)
    return { allow_start: this.#allowStarts.address, allow_ids: this.#allowed.ids.address }
  }
}

const NO_EDITS = { edit_start: 0, edit_ids: 0, edit_values: 0 }
const NO_ALLOWED = { allow_start: 0, allow_ids: 0 }
