/**
 * Matrices of each attention head, cut out of one weight of a checkpoint and laid out for bz_linear_heads: [H, C, N].
 *
 * bfloat16 stays bfloat16 and all else becomes float32, so that no value is rounded.
 */
import { ELEMENT_BYTES } from "../../ffi/abi.ts"
import { present } from "../base/assert.ts"
import type { Device, DeviceArray } from "../tensor/device.ts"
import type { StoredPart } from "./stored-scheme.ts"
import { checkReadable, storedValues } from "./stored-values.ts"

/** Which of a head's rows in the weight, of `headRows`, a matrix is made of. */
export interface HeadRows {
  readonly numHeads: number
  readonly headRows: number
  readonly first: number
  readonly count: number
}

export class HeadWeight {
  readonly name: string
  readonly numHeads: number
  /** Values of a head in the result, and of what it is multiplied with. */
  readonly n: number
  readonly c: number
  readonly dtype: "F32" | "BF16"
  readonly #part: StoredPart
  readonly #rows: HeadRows
  readonly #isTransposed: boolean
  #array: DeviceArray | null = null

  /**
   * `part`: [numHeads * headRows, cols]. Transposed: a result is a product with a row, else with a column.
   * Errors: `ConfigError` where its values cannot be read.
   */
  constructor(part: StoredPart, rows: HeadRows, isTransposed: boolean) {
    checkReadable(part)
    const { values: tensor, scheme } = part
    const cols = present(tensor.shape[1], tensor.name)
    this.name = tensor.name
    this.#part = part
    this.numHeads = rows.numHeads
    this.n = isTransposed ? rows.count : cols
    this.c = isTransposed ? cols : rows.count
    this.dtype = scheme === "plain" && tensor.dtype === "BF16" ? "BF16" : "F32"
    this.#rows = rows
    this.#isTransposed = isTransposed
  }

  get length(): number {
    return this.numHeads * this.n * this.c
  }

  get bytes(): number {
    return this.length * ELEMENT_BYTES[this.dtype]
  }

  get address(): number {
    return present(this.#array, this.name).address
  }

  load(device: Device): void {
    this.#array = device.constantOf(this.dtype, this.length, () => {
      const out = this.#layOut(storedValues(this.#part))
      this.#part.values.release()
      return out
    })
  }

  #layOut(values: Float32Array | Uint16Array): Float32Array | Uint16Array {
    const { n, c, numHeads } = this
    const { headRows, first, count } = this.#rows
    const cols = this.#isTransposed ? c : n
    const out = values instanceof Uint16Array ? new Uint16Array(this.length) : new Float32Array(this.length)
    for (let head = 0; head < numHeads; head++) {
      const from = (head * headRows + first) * cols
      const to = head * n * c
      if (!this.#isTransposed) {
        out.set(values.subarray(from, from + count * cols), to)
        continue
      }
      for (let row = 0; row < count; row++)
        for (let col = 0; col < cols; col++) out[to + col * count + row] = values[from + row * cols + col]!
    }
    return out
  }
}
