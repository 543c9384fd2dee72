/** The values of a weight, computed on the host: for the few weights that are laid out anew for their kernels. */
import { toArrayBuffer, type Pointer } from "bun:ffi"
import { ConfigError } from "../base/errors.ts"
import { present } from "../base/assert.ts"
import type { CheckpointTensor } from "./load/checkpoint.ts"
import { floatsOf } from "./load/floats.ts"
import type { StoredPart } from "./stored-scheme.ts"

const FLOATS: readonly string[] = ["F32", "F16", "BF16"]

/** Errors: `ConfigError` where `storedValues` could not read it. */
export function checkReadable({ scheme, values }: StoredPart): void {
  if (scheme === "fp8" || (scheme === "plain" && FLOATS.includes(values.dtype))) return
  throw new ConfigError(
    `${values.name} is quantized (${scheme === "plain" ? values.dtype : scheme}); this weight must be stored as ` +
      `${FLOATS.join(", ")} or FP8`,
  )
}

/** Row-major. bfloat16 stays what it is, the rest becomes float32. Requires: `checkReadable`. */
export function storedValues(part: StoredPart): Float32Array | Uint16Array {
  if (part.scheme === "fp8") return scaledFp8(part)
  return part.values.dtype === "BF16" ? new Uint16Array(bytesOf(part.values).buffer) : floatsOf(part.values)
}

function bytesOf({ address, bytes }: CheckpointTensor): Uint8Array<ArrayBuffer> {
  return new Uint8Array(toArrayBuffer(address as Pointer, 0, bytes).slice(0))
}

function scaledFp8({ values, scales, groupRows, groupCols }: StoredPart): Float32Array {
  const [rows, cols] = values.shape as [number, number]
  const codes = bytesOf(values)
  const scaleOf = floatsOf(present(scales, values.name))
  const blockCols = groupCols || cols
  const blocksPerRow = Math.ceil(cols / blockCols)
  const out = new Float32Array(codes.length)
  for (let row = 0, at = 0; row < rows; row++) {
    const first = Math.floor(row / (groupRows || rows)) * blocksPerRow
    for (let col = 0; col < cols; col++, at++)
      out[at] = E4M3[codes[at]!]! * scaleOf[first + Math.floor(col / blockCols)]!
  }
  return out
}

/** Of each code: 4 bits of exponent, 3 of mantissa, no infinities; all ones is NaN. */
const E4M3 = Float32Array.from({ length: 256 }, (_, code) => {
  const [exponent, mantissa] = [(code >> 3) & 15, code & 7]
  if (exponent === 15 && mantissa === 7) return NaN
  const magnitude = exponent === 0 ? mantissa * 2 ** -9 : (8 + mantissa) * 2 ** (exponent - 10)
  return code >= 128 ? -magnitude : magnitude
})
