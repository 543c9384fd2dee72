import { toArrayBuffer, type Pointer } from "bun:ffi"
import type { KernelLibrary, NativeStream } from "../../ffi/library.ts"

/** A matrix of float32 in device memory: `cols` values a row, rows `stride` elements apart. */
export interface Matrix {
  readonly address: number
  readonly cols: number
  readonly stride: number
}

/** Columns `[from, from + cols)` of a matrix, in place. */
export function columns(matrix: Matrix, from: number, cols: number): Matrix {
  return { address: matrix.address + from * 4, cols, stride: matrix.stride }
}

/**
 * The memory of one kernel library's stream. Everything allocated here lives until `dispose`; `bytesAllocated` is what
 * the memory plan has to answer for.
 */
export class Device {
  readonly library: KernelLibrary
  readonly stream: NativeStream
  bytesAllocated = 0
  readonly #owned: number[] = []

  constructor(library: KernelLibrary, stream: NativeStream) {
    this.library = library
    this.stream = stream
  }

  /** Zeroed. Errors: `NativeError` when the memory is not there. */
  alloc(bytes: number): number {
    return this.#alloc(bytes, "device")
  }

  matrix(rows: number, cols: number): Matrix {
    return { address: this.alloc(rows * cols * 4), cols, stride: cols }
  }

  int32(length: number): HostArray<Int32Array> {
    const address = this.#alloc(length * 4, "host")
    return { address, data: new Int32Array(toArrayBuffer(address as Pointer, 0, Math.max(4, length * 4))) }
  }

  uint32(length: number): HostArray<Uint32Array> {
    const address = this.#alloc(length * 4, "host")
    return { address, data: new Uint32Array(toArrayBuffer(address as Pointer, 0, Math.max(4, length * 4))) }
  }

  float32(length: number): HostArray<Float32Array> {
    const address = this.#alloc(length * 4, "host")
    return { address, data: new Float32Array(toArrayBuffer(address as Pointer, 0, Math.max(4, length * 4))) }
  }

  dispose(): void {
    for (const address of this.#owned) this.stream.free(address)
    this.#owned.length = 0
  }

  #alloc(bytes: number, kind: "device" | "host"): number {
    const size = Math.max(64, bytes)
    const address = this.stream.alloc(size, kind)
    this.bytesAllocated += size
    this.#owned.push(address)
    return address
  }
}

/** An array that the engine and the kernels both read and write. */
export interface HostArray<A> {
  readonly address: number
  readonly data: A
}
