import { STATUS } from "../../ffi/abi.ts"
import { Args } from "../../ffi/args.ts"
import type { Device, HostArray, Matrix } from "../tensor/device.ts"

/** Finds the rows of a matrix that hold a NaN or an infinity: `bz_logits_process` that has nothing else to do. */
export class FiniteRows {
  readonly #device: Device
  readonly #args: Args<"logitsProcess">
  readonly #status: HostArray<Int32Array>

  constructor(device: Device, matrix: Matrix, maxRows: number) {
    this.#device = device
    this.#status = device.int32(maxRows)
    this.#args = new Args("logitsProcess", {
      vocab_size: matrix.cols, logits: matrix.address, logits_stride: matrix.stride, row_status: this.#status.address,
    })
  }

  /** What the constructor allocates. */
  static bytes(maxRows: number): number {
    return 4 * maxRows
  }

  /** Of the first `count` rows those that are not finite, in rising order. */
  findOthers(count: number): number[] {
    this.#device.stream.run("bz_logits_process", this.#args.set({ num_requests: count }))
    const rows: number[] = []
    const status = this.#status.data
    for (let row = 0; row < count; row++) if (status[row] !== STATUS.ok) rows.push(row)
    return rows
  }
}
