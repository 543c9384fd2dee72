/**
 * Turns the logits of a step's sampled rows into tokens, in native code over the whole batch.
 *
 * Order (vLLM V1): copy raw logits of rows that want log-probabilities; allowed ids, bad words, min tokens, logit bias,
 * penalties, logits processors; temperature, min-p, top-k, top-p, draw; log-probabilities of what was drawn, from the
 * raw copy or, in the processed modes, from what it was drawn from.
 *
 * A row that goes wrong, by the model's numbers or by what its request asks for, fails its request and changes nothing
 * for the others.
 *
 * Shapes: logits [samples, V]. Row i belongs to `requests[i]`. Arrays are reused from step to step and rebuilt in each.
 */
import { STATUS } from "../../../ffi/abi.ts"
import { Args } from "../../../ffi/args.ts"
import { assert } from "../../base/assert.ts"
import type { RequestFailure, ScheduledRequest, SchedulePlan, TokenLogprobs } from "../../core/schedule-plan.ts"
import type { Device, HostArray, Matrix } from "../../tensor/device.ts"
import type { LogitsProcessor } from "../logits-processors/interface.ts"
import { LogitsProcessorRows } from "../logits-processors/rows.ts"
import type { LogprobsMode } from "../../core/logprobs-mode.ts"
import { LogitsProcess } from "./logits-process.ts"
import type { LogprobsOp } from "./logprobs-op.ts"
import { LogprobsReader } from "./logprobs-reader.ts"

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

const NOT_A_NUMBER: RequestFailure = {
  message: "The penalties or logits processors of this request made logits that are not numbers.",
  isCallersFault: false,
}

/** Values of four bytes that a row has in the arrays of `bz_sample`: a seed has two. */
const VALUES_PER_ROW = 9

export class Sampler {
  readonly #device: Device
  readonly #maxRows: number
  readonly #temperature: HostArray<Float32Array>
  readonly #topP: HostArray<Float32Array>
  readonly #minP: HostArray<Float32Array>
  readonly #topK: HostArray<Int32Array>
  readonly #seeds: HostArray<Uint32Array>
  readonly #positions: HostArray<Int32Array>
  readonly #out: HostArray<Int32Array>
  readonly #status: HostArray<Int32Array>
  readonly #sample: Args<"sample">
  readonly #process: LogitsProcess
  readonly #logprobs: LogprobsReader
  readonly #processors: LogitsProcessorRows

  constructor(device: Device, logits: Matrix, logprobsOp: LogprobsOp, options: SamplerOptions) {
    const { maxSamples: maxRows, maxModelLen, logprobsMode: mode } = options
    this.#device = device
    this.#maxRows = maxRows
    this.#temperature = device.float32(maxRows)
    this.#topP = device.float32(maxRows)
    this.#minP = device.float32(maxRows)
    this.#topK = device.int32(maxRows)
    this.#seeds = device.uint32(maxRows * 2)
    this.#positions = device.int32(maxRows)
    this.#out = device.int32(maxRows)
    this.#status = device.int32(maxRows)
    this.#process = new LogitsProcess(device, logits, { maxRows, maxModelLen })
    this.#logprobs = new LogprobsReader(device, logits, logprobsOp, { maxRows, mode })
    this.#processors = new LogitsProcessorRows(device, logits, options.logitsProcessors)
    this.#sample = new Args("sample", {
      vocab_size: logits.cols, logits: logits.address, logits_stride: logits.stride,
      temperature: this.#temperature.address, top_p: this.#topP.address, min_p: this.#minP.address,
      top_k: this.#topK.address, seeds: this.#seeds.address, positions: this.#positions.address,
      out: this.#out.address, row_status: this.#status.address,
    })
  }

  /** What the constructor allocates. */
  static bytes(vocabSize: number, { maxSamples: maxRows, maxModelLen }: { maxSamples: number; maxModelLen: number }) {
    const process = LogitsProcess.bytes(vocabSize, { maxRows, maxModelLen })
    const processors = 4 * vocabSize
    return 4 * VALUES_PER_ROW * maxRows + process + processors + LogprobsReader.bytes(vocabSize, maxRows)
  }

  /** Forgets the requests that have left. */
  leave(plan: SchedulePlan): void {
    this.#processors.leave(plan)
  }

  /** `tokenIds` is valid until the next call. */
  sample(requests: readonly ScheduledRequest[]): SamplerOutput {
    assert(requests.length <= this.#maxRows, () => `${requests.length} rows to sample, room for ${this.#maxRows}`)
    const failures = new Map<string, RequestFailure>()
    this.#logprobs.keepRaw(requests)
    this.#process.run(requests, failures)
    this.#processors.apply(requests, failures)
    requests.forEach((request, row) => this.#fillRow(request, row))
    const processed = this.#logprobs.processed
    this.#sample.set({
      num_requests: requests.length, out_processed: processed?.address ?? 0, processed_stride: processed?.stride ?? 0,
    })
    this.#device.stream.run("bz_sample", this.#sample)
    requests.forEach(({ requestId }, row) => {
      if (this.#status.data[row] !== STATUS.ok && !failures.has(requestId)) failures.set(requestId, NOT_A_NUMBER)
    })
    const tokenIds = this.#out.data.subarray(0, requests.length)
    return { tokenIds, logprobs: this.#logprobs.read(requests, tokenIds, (id) => failures.has(id)), failures }
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
}
