import { toArrayBuffer, type Pointer } from "bun:ffi"
import { ConfigError } from "../../base/errors.ts"
import type { CheckpointTensor } from "./checkpoint.ts"

/** A small float tensor's values as float32, copied. Errors: `ConfigError` for a block format. */
export function floatsOf(tensor: CheckpointTensor): Float32Array {
  const raw = toArrayBuffer(tensor.address as Pointer, 0, tensor.bytes).slice(0)
  if (tensor.dtype === "F32") return new Float32Array(raw)
  if (tensor.dtype === "BF16") return widenBf16(new Uint16Array(raw))
  if (tensor.dtype === "F16") return Float32Array.from(new Float16Array(raw))
  throw new ConfigError(`${tensor.name} is ${tensor.dtype}; a vector must be F32, F16 or BF16`)
}

/** A bfloat16 is the upper half of a float32. */
function widenBf16(bits: Uint16Array): Float32Array {
  const out = new Uint32Array(bits.length)
  for (let i = 0; i < bits.length; i++) out[i] = bits[i]! << 16
  return new Float32Array(out.buffer)
}
