/**
 * Small arrays that cross between host and device in every step.
 *
 * Each has one place in device memory and two in staging memory, used in turn: the host fills the arrays of step n + 1
 * while the copies of step n may still be on their way, and reads the results of step n while n + 1 writes its own.
 */
import type { NativeEvent } from "../../ffi/stream.ts"
import { assert, present } from "../base/assert.ts"
import type { Device, Staging } from "./device.ts"

type Words = Int32Array | Uint32Array | Float32Array
type WordsConstructor<A extends Words> = new (buffer: ArrayBuffer, byteOffset: number, length: number) => A

const WORD_BYTES = 4
/** Copies whose ranges are nearer than this are one copy. */
const MERGE_BYTES = 4096
const NUM_SETS = 2

/** One array of a ring. */
export class StepArray<A extends Words> {
  readonly length: number
  /** From the start of its ring. */
  readonly byteOffset: number
  readonly #make: WordsConstructor<A>
  readonly #ring: StepRing
  readonly #views: (A | undefined)[] = []
  /** Elements, from the first, that the next copy takes along. */
  used = 0

  constructor(ring: StepRing, make: WordsConstructor<A>, byteOffset: number, length: number) {
    this.#ring = ring
    this.#make = make
    this.byteOffset = byteOffset
    this.length = length
  }

  /** In device memory, of element `index`. */
  address(index = 0): number {
    return this.#ring.deviceAddress + this.byteOffset + index * WORD_BYTES
  }

  /** In host memory: of a set, or of the one that the host works on. */
  view(set = this.#ring.current): A {
    return (this.#views[set] ??= new this.#make(this.#ring.buffer(set), this.byteOffset, this.length))
  }

  /** `view()` of the present set. */
  get data(): A {
    return this.view()
  }

  /** Copies `values` to the front, and has just them copied to the device. */
  set(values: ArrayLike<number>): void {
    this.data.set(values)
    this.used = values.length
  }
}

class StepRing {
  protected readonly device: Device
  protected readonly arrays: StepArray<Words>[] = []
  current = 0
  #bytes = 0
  #deviceAddress = 0
  #sets: readonly { readonly staging: Staging; readonly event: NativeEvent }[] = []

  constructor(device: Device) {
    this.device = device
  }

  int32(length: number): StepArray<Int32Array> {
    return this.#add(Int32Array, length)
  }

  uint32(length: number): StepArray<Uint32Array> {
    return this.#add(Uint32Array, length)
  }

  float32(length: number): StepArray<Float32Array> {
    return this.#add(Float32Array, length)
  }

  /** To be called once, after the last array; before it there are no addresses. */
  allocate(): this {
    assert(this.#deviceAddress === 0, "a ring is allocated twice")
    this.#deviceAddress = this.device.alloc(this.#bytes)
    this.#sets = Array.from({ length: NUM_SETS }, () => ({
      staging: this.device.staging(this.#bytes), event: this.device.event(),
    }))
    return this
  }

  get deviceAddress(): number {
    assert(this.#deviceAddress !== 0, "a ring without memory")
    return this.#deviceAddress
  }

  buffer(set: number): ArrayBuffer {
    return this.#set(set).staging.buffer
  }

  /** Waits until the copies of a set are done. Errors: `NativeError`. */
  wait(set: number): void {
    this.#set(set).event.synchronize()
  }

  protected turn(): void {
    this.current = (this.current + 1) % NUM_SETS
  }

  /** Gives the copies of what is used to the stream, with an event behind them. */
  protected copy(direction: "upload" | "download"): void {
    const { staging, event } = this.#set(this.current)
    let [from, end] = [0, 0]
    const flush = () => {
      if (end === from) return
      const [host, device] = [staging.address + from, this.deviceAddress + from]
      if (direction === "upload") this.device.stream.upload(device, host, end - from)
      else this.device.stream.download(host, device, end - from)
    }
    for (const { byteOffset, used } of this.arrays) {
      if (used === 0) continue
      if (byteOffset - end > MERGE_BYTES || end === from) {
        flush()
        from = byteOffset
      }
      end = byteOffset + used * WORD_BYTES
    }
    flush()
    event.record()
  }

  #add<A extends Words>(make: WordsConstructor<A>, length: number): StepArray<A> {
    const array = new StepArray(this, make, this.#bytes, length)
    const { alignment } = this.device.traits
    this.#bytes += Math.ceil((length * WORD_BYTES) / alignment) * alignment
    this.arrays.push(array as unknown as StepArray<Words>)
    return array
  }

  #set(index: number) {
    return present(this.#sets[index], `set ${index}`)
  }
}

/** Arrays that the host writes and ops read. */
export class InputRing extends StepRing {
  /** Turns to the other set, whose arrays may be written then, and takes nothing for used. */
  begin(): void {
    this.turn()
    this.wait(this.current)
    for (const array of this.arrays) array.used = 0
  }

  upload(): void {
    this.copy("upload")
  }
}

/** Arrays that ops write and the host reads. */
export class OutputRing extends StepRing {
  /**
   * Queues the copies of what is used. Returns the set to `wait` for and to read; the second call after this one writes
   * to the same set.
   */
  download(): number {
    this.turn()
    this.copy("download")
    return this.current
  }

  /** The last download has been read: the next one may write to its set, and leaves the other as it is. */
  release(): void {
    this.turn()
  }
}
