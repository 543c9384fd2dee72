import { toArrayBuffer, type Pointer } from "bun:ffi"
import type { CheckpointTensor } from "./checkpoint.ts"

// A view of the whole tensor could be larger than an ArrayBuffer may be.
const CHUNK_BYTES = 64 * 1024 * 1024

/** Whether two tensors are stored with the same type, shape and bytes. Reads them only as far as they are equal. */
export function isSameTensor(a: CheckpointTensor, b: CheckpointTensor): boolean {
  if (a.dtype !== b.dtype || a.bytes !== b.bytes || !Bun.deepEquals(a.shape, b.shape)) return false
  for (let offset = 0; offset < a.bytes; offset += CHUNK_BYTES) {
    const bytes = Math.min(CHUNK_BYTES, a.bytes - offset)
    if (Buffer.compare(viewOf(a, offset, bytes), viewOf(b, offset, bytes)) !== 0) return false
  }
  return true
}

function viewOf(tensor: CheckpointTensor, offset: number, bytes: number): Uint8Array {
  return new Uint8Array(toArrayBuffer(tensor.address as Pointer, offset, bytes))
}
