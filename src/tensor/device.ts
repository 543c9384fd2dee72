import { toArrayBuffer, type Pointer } from "bun:ffi"
import { ELEMENT_BYTES, type ElementType } from "../../ffi/abi.ts"
import type { KernelLibrary, LibraryTraits } from "../../ffi/library.ts"
import type { NativeEvent, NativeStream } from "../../ffi/stream.ts"
import type { MatrixValue } from "../../ffi/structs.ts"
import type { NativeWeight, WeightPart, WeightShape } from "../../ffi/weight.ts"
import { assert } from "../base/assert.ts"

/** A matrix in device memory: `cols` values a row, rows `stride` elements apart. */
export type Matrix = MatrixValue

/** Columns `[from, from + cols)` of a matrix, in place. */
export function columns(matrix: Matrix, from: number, cols: number): Matrix {
  return { ...matrix, address: matrix.address + from * ELEMENT_BYTES[matrix.dtype], cols }
}

/** The rows of a matrix from `first` on, in place. */
export function rowsFrom(matrix: Matrix, first: number): Matrix {
  return { ...matrix, address: matrix.address + first * rowBytes(matrix) }
}

/** Bytes from one row to the next. */
export function rowBytes({ stride, dtype }: Matrix): number {
  return stride * ELEMENT_BYTES[dtype]
}

/** A vector in device memory: ops read and write it, the host never does. */
export interface DeviceArray {
  readonly address: number
  readonly dtype: ElementType
  readonly length: number
}

/** Host memory that copies to and from device memory use: kernels never see it. */
export interface Staging {
  readonly address: number
  readonly bytes: number
  /** A view of all of it; the same one each time. */
  readonly buffer: ArrayBuffer
}

type MemoryKind = "device" | "staging"

/** The least that is allocated at a time. */
const MIN_BYTES = 64

/**
 * The memory of one kernel library's stream. Everything allocated here lives until `dispose`; `allocated` is what the
 * memory plan has to answer for, in bytes.
 */
export class Device {
  readonly library: KernelLibrary
  readonly stream: NativeStream
  readonly traits: LibraryTraits
  readonly isPlanning: boolean = false
  readonly allocated: Record<MemoryKind, number> = { device: 0, staging: 0 }
  readonly #owned: number[] = []
  readonly #events: NativeEvent[] = []
  /** Constants on their way to the device. */
  #transfer: Staging | null = null

  constructor(library: KernelLibrary, stream: NativeStream) {
    this.library = library
    this.stream = stream
    this.traits = library.traits()
  }

  /** Device memory, zeroed. Errors: `NativeError` when it is not there. */
  alloc(bytes: number): number {
    return this.#alloc(bytes, "device")
  }

  /** Activations where no type is given. */
  matrix(rows: number, cols: number, dtype: ElementType = this.traits.activationType): Matrix {
    return { address: this.alloc(rows * cols * ELEMENT_BYTES[dtype]), dtype, cols, stride: cols }
  }

  array(dtype: ElementType, length: number): DeviceArray {
    return { address: this.alloc(length * ELEMENT_BYTES[dtype]), dtype, length }
  }

  /** float32 values that never change: `fill` is asked for them once. */
  constant(length: number, fill: () => Float32Array): DeviceArray {
    return this.constantOf("F32", length, fill)
  }

  /** The same with elements of another type, which `fill` gives as they lie in memory. */
  constantOf(dtype: ElementType, length: number, fill: () => Float32Array | Uint16Array | Int32Array): DeviceArray {
    const array = this.array(dtype, length)
    this.fill(array, fill)
    return array
  }

  staging(bytes: number): Staging {
    const size = Math.max(MIN_BYTES, bytes)
    return stagingAt(this.#alloc(size, "staging"), size)
  }

  event(): NativeEvent {
    const event = this.stream.createEvent()
    this.#events.push(event)
    return event
  }

  /** Its memory is the library's, and its owner destroys it. */
  weight(shape: WeightShape, parts: readonly WeightPart[]): NativeWeight {
    return this.stream.createWeight(shape, parts)
  }

  dispose(): void {
    for (const event of this.#events.splice(0)) event.destroy()
    for (const address of this.#owned.splice(0)) this.stream.free(address)
    this.#transfer = null
  }

  protected take(bytes: number, kind: MemoryKind): number {
    const address = this.stream.alloc(bytes, kind)
    this.#owned.push(address)
    return address
  }

  protected fill(array: DeviceArray, values: () => Float32Array | Uint16Array | Int32Array): void {
    const data = values()
    const expected = array.length * ELEMENT_BYTES[array.dtype]
    assert(data.byteLength === expected, () => `${data.byteLength} bytes for an array of ${expected}`)
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    const staging = (this.#transfer ??= this.staging(TRANSFER_BYTES))
    for (let from = 0; from < bytes.length; from += staging.bytes) {
      const part = bytes.subarray(from, Math.min(bytes.length, from + staging.bytes))
      new Uint8Array(staging.buffer).set(part)
      this.stream.upload(array.address + from, staging.address, part.length)
      this.stream.synchronize()
    }
  }

  #alloc(bytes: number, kind: MemoryKind): number {
    const size = Math.max(MIN_BYTES, bytes)
    const address = this.take(size, kind)
    this.allocated[kind] += size
    return address
  }
}

const TRANSFER_BYTES = 256 * 1024

/** The view is made when it is first asked for: planned memory has none. */
function stagingAt(address: number, bytes: number): Staging {
  let buffer: ArrayBuffer | null = null
  return {
    address, bytes,
    get buffer() {
      return (buffer ??= toArrayBuffer(address as Pointer, 0, bytes))
    },
  }
}

/**
 * A device whose memory is only counted: what is built on it may be planned (`NativeStream.planBegin`), never run. So a
 * model's memory is known before any of it is taken, from the code that takes it.
 */
export class PlanningDevice extends Device {
  override readonly isPlanning = true
  #next = MIN_BYTES

  override weight(shape: WeightShape, parts: readonly WeightPart[]): NativeWeight {
    return this.stream.planWeight(shape, parts)
  }

  protected override take(bytes: number): number {
    const address = this.#next
    const { alignment } = this.traits
    this.#next += Math.ceil(bytes / alignment) * alignment
    return address
  }

  /** The real device takes its transfer buffer at the first constant. */
  protected override fill(): void {
    this.#transfer ??= this.staging(TRANSFER_BYTES)
  }

  #transfer: Staging | null = null
}
