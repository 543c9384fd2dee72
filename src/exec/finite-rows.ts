import { STATUS } from "../../ffi/abi.ts"
import { Args } from "../../ffi/args.ts"
import type { Device, Matrix } from "../tensor/device.ts"
import { OutputRing, type StepArray } from "../tensor/step-arrays.ts"

/** Finds the rows of a matrix that hold a NaN or an infinity. */
export class FiniteRows {
  readonly #device: Device
  readonly #args: Args<"bz_check_finite">
  readonly #ring: OutputRing
  readonly #status: StepArray<Int32Array>

  constructor(device: Device, matrix: Matrix, maxRows: number) {
    this.#device = device
    this.#ring = new OutputRing(device)
    this.#status = this.#ring.int32(maxRows)
    this.#ring.allocate()
    this.#args = new Args("bz_check_finite", { x: matrix, row_status: this.#status.address() })
  }

  /** Queues a check of the first `count` rows. Returns what `findOthers` takes; valid until the next check but one. */
  check(count: number): FiniteCheck {
    this.#device.stream.run("bz_check_finite", this.#args.set({ num_rows: count }))
    this.#status.used = count
    return { set: this.#ring.download(), count }
  }

  /** Waits. The rows that are not finite, in rising order. */
  findOthers({ set, count }: FiniteCheck): number[] {
    this.#ring.wait(set)
    const rows: number[] = []
    const status = this.#status.view(set)
    for (let row = 0; row < count; row++) if (status[row] !== STATUS.ok) rows.push(row)
    return rows
  }
}

export interface FiniteCheck {
  readonly set: number
  readonly count: number
}
