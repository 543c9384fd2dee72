import { ptr, type Pointer } from "bun:ffi"
import { COMPUTE, SCHEME, type Compute, type Scheme } from "./abi.ts"
import { Args, structArray } from "./args.ts"
import type { KernelLibrary } from "./library.ts"
import type { TensorValue } from "./structs.ts"

/** Rows that are stacked to a weight: tensors by role, and how they mean the rows; see bz_weight_part. */
export interface WeightPart {
  readonly n: number
  readonly scheme: Scheme
  readonly groupRows: number
  readonly groupCols: number
  readonly values: TensorValue
  readonly scales: TensorValue | null
  readonly zeros: TensorValue | null
  readonly groupIndex: TensorValue | null
}

export interface WeightShape {
  readonly n: number
  readonly c: number
  /** 0: a matrix; else a stack of so many. */
  readonly numExperts: number
  readonly compute: Compute
}

/**
 * `parts`: of a stack those of the first expert, of the second, and so on, as many of each. `keep` holds them for the
 * library: it has to live until the call that reads them is over.
 */
export function weightArgs(
  shape: WeightShape, parts: readonly WeightPart[],
): { args: Args<"weight">; keep: Uint8Array } {
  const keep = structArray("weightPart", parts.map((part) => ({
    n: part.n, scheme: SCHEME[part.scheme], group_rows: part.groupRows, group_cols: part.groupCols,
    values: part.values, scales: part.scales ?? ABSENT, zeros: part.zeros ?? ABSENT,
    group_index: part.groupIndex ?? ABSENT,
  })))
  const args = new Args("weight", {
    num_parts: parts.length / Math.max(1, shape.numExperts), n: shape.n, c: shape.c, num_experts: shape.numExperts,
    compute: COMPUTE[shape.compute], parts: ptr(keep),
  })
  return { args, keep }
}

const ABSENT: TensorValue = { address: 0, bytes: 0, dtype: "F32" }

export class NativeWeight {
  readonly address: number
  readonly shape: WeightShape
  readonly #library: KernelLibrary

  constructor(library: KernelLibrary, address: number, shape: WeightShape) {
    this.#library = library
    this.address = address
    this.shape = shape
  }

  info(): { bytes: number; bits: number } {
    const args = new Args("weightInfo")
    const status = this.#library.symbols.bz_weight_info(this.address as Pointer, args.address)
    this.#library.check(status, "bz_weight_info")
    return { bytes: args.get("out_bytes"), bits: args.get("out_bits") }
  }

  destroy(): void {
    this.#library.symbols.bz_weight_destroy(this.address as Pointer)
  }
}

