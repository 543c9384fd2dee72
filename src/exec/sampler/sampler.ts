/**
 * Turns the logits of a step's sampled rows into tokens, in native code over the whole batch.
 *
 * Order (vLLM V1): copy raw logits of rows that want log-probabilities; masks, allowed ids, bad words, min tokens,
 * logit bias, penalties, logits processors; temperature, min-p, top-k, top-p, draw; log-probabilities of what was
 * drawn, from the raw copy or, in the processed modes, from what it was drawn from.
 *
 * A row that goes wrong, by the model's numbers or by what its request asks for, fails its request and changes nothing
 * for the others.
 *
 * Shapes: logits [samples, V], a slice of the step's rows at a time. All that the host decides is sent to the device
 * first, all results come back together at the end: nothing waits in between, but for logits processors, tokens that
 * are chosen by a request for its log-probabilities, and more log-probabilities than there is room for.
 */
import { STATUS } from "../../../ffi/abi.ts"
import { Args } from "../../../ffi/args.ts"
import { assert } from "../../base/assert.ts"
import type { RequestFailure, SchedulePlan, TokenLogprobs } from "../../core/schedule-plan.ts"
import type { TokenMasks } from "../../core/token-masks.ts"
import type { Device, DeviceArray, Matrix } from "../../tensor/device.ts"
import { InputRing, OutputRing, type StepArray } from "../../tensor/step-arrays.ts"
import type { LogitsProcessor } from "../logits-processors/interface.ts"
import { LogitsProcessorRows } from "../logits-processors/rows.ts"
import type { LogprobsMode } from "../../core/logprobs-mode.ts"
import { failureOf, LogitsProcess } from "./logits-process.ts"
import type { LogprobsOp } from "./logprobs-op.ts"
import { LogprobsReader, type QueuedLogprobs } from "./logprobs-reader.ts"
import type { SampleRow } from "./sample-row.ts"

/** Rows whose tokens are drawn, or will be once the device gets there. */
export interface SampledRows {
  readonly rows: readonly SampleRow[]
  readonly set: number
  readonly logprobs: QueuedLogprobs
  /** Of what the host did. By row. */
  readonly failures: Map<number, RequestFailure>
}

export interface SamplerOutput {
  /** By row. */
  readonly tokenIds: Int32Array
  /** By row, where the request asked. */
  readonly logprobs: ReadonlyMap<number, TokenLogprobs>
  /** By row; what was drawn for these counts for nothing. */
  readonly failures: ReadonlyMap<number, RequestFailure>
}

export interface SamplerOptions {
  /** Rows of logits at once, at most. */
  readonly maxSamples: number
  /** Rows of a step, at most. */
  readonly maxSampleRows: number
  readonly maxModelLen: number
  readonly logprobsMode: LogprobsMode
  readonly logitsProcessors: readonly LogitsProcessor[]
  /** Computes the logits of `count` rows of the step, whose int32 numbers lie at a device address. */
  readonly runHead: (rows: number, count: number) => void
}

const NOT_A_NUMBER: RequestFailure = {
  message: "The penalties or logits processors of this request made logits that are not numbers.",
  isCallersFault: false,
}

export class Sampler {
  readonly #device: Device
  readonly #options: SamplerOptions
  readonly #inputs: InputRing
  readonly #sourceRows: StepArray<Int32Array>
  readonly #temperature: StepArray<Float32Array>
  readonly #topP: StepArray<Float32Array>
  readonly #minP: StepArray<Float32Array>
  readonly #topK: StepArray<Int32Array>
  readonly #seeds: StepArray<Uint32Array>
  readonly #positions: StepArray<Int32Array>
  readonly #outputs: OutputRing
  readonly #drawn: StepArray<Int32Array>
  readonly #processStatus: StepArray<Int32Array>
  readonly #sampleStatus: StepArray<Int32Array>
  readonly #sample: Args<"bz_sample">
  readonly #process: LogitsProcess
  readonly #logprobs: LogprobsReader
  readonly #processors: LogitsProcessorRows

  constructor(device: Device, logits: Matrix, logprobsOp: LogprobsOp, options: SamplerOptions) {
    const { maxSamples, maxSampleRows, maxModelLen, logprobsMode: mode } = options
    this.#device = device
    this.#options = options
    const inputs = new InputRing(device)
    this.#inputs = inputs
    this.#sourceRows = inputs.int32(maxSampleRows)
    this.#temperature = inputs.float32(maxSampleRows)
    this.#topP = inputs.float32(maxSampleRows)
    this.#minP = inputs.float32(maxSampleRows)
    this.#topK = inputs.int32(maxSampleRows)
    this.#seeds = inputs.uint32(maxSampleRows * 2)
    this.#positions = inputs.int32(maxSampleRows)
    inputs.allocate()
    this.#outputs = new OutputRing(device)
    this.#drawn = this.#outputs.int32(maxSampleRows)
    this.#processStatus = this.#outputs.int32(maxSampleRows)
    this.#sampleStatus = this.#outputs.int32(maxSampleRows)
    this.#outputs.allocate()
    this.#process = new LogitsProcess(device, logits, { maxRows: maxSamples, maxModelLen })
    this.#logprobs = new LogprobsReader(device, logits, logprobsOp, { maxRows: maxSamples, mode })
    this.#processors = new LogitsProcessorRows(device, logits, options.logitsProcessors, maxSamples)
    this.#sample = new Args("bz_sample", { logits })
  }

  /** Forgets the requests that have left. */
  leave(plan: SchedulePlan): void {
    this.#processors.leave(plan)
  }

  /** Where the tokens of the last sampled step lie, by row. */
  get drawn(): DeviceArray {
    return { address: this.#drawn.address(), dtype: "I32", length: this.#drawn.length }
  }

  /** Draws a token for each row. */
  sample(rows: readonly SampleRow[], masks: TokenMasks | null): SampledRows {
    const { maxSamples, maxSampleRows, runHead } = this.#options
    assert(rows.length <= maxSampleRows, () => `${rows.length} rows to sample, room for ${maxSampleRows}`)
    const failures = new Map<number, RequestFailure>()
    this.#sendInputs(rows)
    for (let first = 0; first < rows.length; first += maxSamples) {
      const slice = rows.slice(first, first + maxSamples)
      runHead(this.#sourceRows.address(first), slice.length)
      this.#logprobs.keepRaw(slice)
      this.#process.run(slice, masks, this.#processStatus.address(first))
      const failed = this.#processors.apply(slice, this.#processStatus.address(first))
      for (const [row, failure] of failed) failures.set(first + row, failure)
      this.#draw(first, slice.length)
      this.#logprobs.queue(slice, first, this.#drawn.address(first))
    }
    for (const array of [this.#drawn, this.#processStatus, this.#sampleStatus]) array.used = rows.length
    return { rows, set: this.#outputs.download(), logprobs: this.#logprobs.finish(), failures }
  }

  /** Waits. Valid until the next step but one is sampled. */
  collect({ rows, set, logprobs, failures }: SampledRows): SamplerOutput {
    this.#outputs.wait(set)
    const [processStatus, sampleStatus] = [this.#processStatus.view(set), this.#sampleStatus.view(set)]
    for (let row = 0; row < rows.length; row++) {
      const failure = failureOf(processStatus[row]!)
      if (failure !== null) failures.set(row, failure)
      else if (sampleStatus[row] !== STATUS.ok && !failures.has(row)) failures.set(row, NOT_A_NUMBER)
    }
    const tokenIds = this.#drawn.view(set).subarray(0, rows.length)
    return { tokenIds, logprobs: this.#logprobs.collect(logprobs, tokenIds), failures }
  }

  /** For the memory plan: the ops of as many rows as there can be at once. */
  plan(): void {
    const { maxSamples } = this.#options
    this.#process.plan(maxSamples)
    this.#draw(0, maxSamples)
  }

  #draw(first: number, count: number): void {
    const processed = this.#logprobs.processed ?? NO_MATRIX
    this.#device.stream.run("bz_sample", this.#sample.set({
      num_requests: count, temperature: this.#temperature.address(first), top_p: this.#topP.address(first),
      min_p: this.#minP.address(first), top_k: this.#topK.address(first), seeds: this.#seeds.address(2 * first),
      positions: this.#positions.address(first), out: this.#drawn.address(first), out_processed: processed,
      row_status: this.#sampleStatus.address(first),
    }))
  }

  #sendInputs(rows: readonly SampleRow[]): void {
    this.#inputs.begin()
    const [temperature, topP, minP] = [this.#temperature.data, this.#topP.data, this.#minP.data]
    const [sourceRows, topK, positions, seeds] = [
      this.#sourceRows.data, this.#topK.data, this.#positions.data, this.#seeds.data,
    ]
    rows.forEach(({ request, row, numTokens }, i) => {
      const p = request.sampling
      sourceRows[i] = row
      temperature[i] = p.temperature
      topP[i] = p.topP
      minP[i] = p.minP
      topK[i] = p.topK
      positions[i] = numTokens
      const seed = BigInt.asUintN(64, p.seed ?? 0n)
      assert(p.seed !== null || p.temperature < 1e-5, () => `request ${request.requestId} samples without a seed`)
      seeds[2 * i] = Number(seed & 0xffff_ffffn)
      seeds[2 * i + 1] = Number(seed >> 32n)
    })
    const arrays = [this.#sourceRows, this.#temperature, this.#topP, this.#minP, this.#topK, this.#positions]
    for (const array of arrays) array.used = rows.length
    this.#seeds.used = 2 * rows.length
    this.#inputs.upload()
  }
}

const NO_MATRIX: Matrix = { address: 0, dtype: "F32", cols: 0, stride: 0 }
