/**
 * Buffers between the ops of a program, whose memory is given out when all ops are known: two buffers share memory
 * where one is used no more before the other is used first.
 *
 * Only buffers of one shape share: their rows lie at the same places, so that it makes no difference whether ops go
 * over all rows one after the other, or slice by slice (see `Program`).
 */
import { ELEMENT_BYTES, type ElementType } from "../../ffi/abi.ts"
import { assert, present } from "../base/assert.ts"
import type { Device, Matrix } from "./device.ts"

interface Buffer {
  readonly rows: number
  readonly cols: number
  readonly dtype: ElementType
  firstUse: number
  lastUse: number
  address: number
}

// Until memory is given out a buffer has an address of this range: its number, and an offset into it.
const FIRST_ADDRESS = 2 ** 52
const BUFFER_SPAN = 2 ** 38
const MAX_BUFFERS = (Number.MAX_SAFE_INTEGER - FIRST_ADDRESS) / BUFFER_SPAN

export class BufferPlan {
  readonly #buffers: Buffer[] = []

  /** A matrix that has no memory yet. */
  add(rows: number, cols: number, dtype: ElementType): Matrix {
    const id = this.#buffers.length
    const bytes = rows * cols * ELEMENT_BYTES[dtype]
    assert(id < MAX_BUFFERS && bytes < BUFFER_SPAN, () => `buffer ${id} of ${bytes} bytes`)
    this.#buffers.push({ rows, cols, dtype, firstUse: Infinity, lastUse: -1, address: 0 })
    return { address: FIRST_ADDRESS + id * BUFFER_SPAN, dtype, cols, stride: cols }
  }

  /** Whether an address is of a buffer without memory. */
  owns(address: number): boolean {
    return address >= FIRST_ADDRESS
  }

  /** The op at place `index` in the order of running reads or writes at an address. */
  use(address: number, index: number): void {
    if (!this.owns(address)) return
    const buffer = this.#bufferAt(address)
    buffer.firstUse = Math.min(buffer.firstUse, index)
    buffer.lastUse = Math.max(buffer.lastUse, index)
  }

  /** What is in it stays after the last op. */
  keep(matrix: Matrix): void {
    this.use(matrix.address, Infinity)
  }

  /** Gives out memory. Buffers that no op uses get none. */
  allocate(device: Device): void {
    const slots = new Map<string, { address: number; lastUse: number }[]>()
    const used = this.#buffers.filter(({ firstUse }) => firstUse < Infinity).sort((a, b) => a.firstUse - b.firstUse)
    for (const buffer of used) {
      const shape = `${buffer.rows} ${buffer.cols} ${buffer.dtype}`
      const ofShape = slots.get(shape) ?? []
      slots.set(shape, ofShape)
      let slot = ofShape.find(({ lastUse }) => lastUse < buffer.firstUse)
      if (slot === undefined) {
        slot = { address: device.matrix(buffer.rows, buffer.cols, buffer.dtype).address, lastUse: -1 }
        ofShape.push(slot)
      }
      slot.lastUse = buffer.lastUse
      buffer.address = slot.address
    }
  }

  /** The real address. Requires: memory was given out. */
  resolve(address: number): number {
    if (!this.owns(address)) return address
    const buffer = this.#bufferAt(address)
    assert(buffer.address !== 0, "a buffer that no op uses")
    return buffer.address + ((address - FIRST_ADDRESS) % BUFFER_SPAN)
  }

  #bufferAt(address: number): Buffer {
    return present(this.#buffers[Math.floor((address - FIRST_ADDRESS) / BUFFER_SPAN)], "a buffer")
  }
}
