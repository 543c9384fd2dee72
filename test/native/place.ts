import { toArrayBuffer, type Pointer } from "bun:ffi"
import { expect } from "bun:test"
import type { DType } from "../../ffi/abi.ts"
import { Args } from "../../ffi/args.ts"
import type { KernelLibrary } from "../../ffi/library.ts"
import type { NativeStream } from "../../ffi/stream.ts"
import { STRUCTS, type FieldType, type MatrixValue, type OpName, type StructValues } from "../../ffi/structs.ts"
import type { WeightPart } from "../../ffi/weight.ts"

const GUARD_BYTES = 256
const GUARD = 0xa5

export type Values = Float32Array | Int32Array | Uint32Array | BigUint64Array | Uint8Array | Uint16Array
export type Put<A> = A & { readonly at: number }

/** Memory of the device with guard bytes around it. */
interface Block {
  readonly base: number
  /** All of it, guards included. Of a library that runs at once the memory itself, else a copy of it. */
  readonly view: Uint8Array
  /** Through which the copy goes; 0 where the view is the memory itself. */
  readonly staging: number
}

export function hostBytes(address: number, length: number): Uint8Array {
  return length === 0 ? new Uint8Array(0) : new Uint8Array(toArrayBuffer(address as Pointer, 0, length))
}

/**
 * Memory of one run. Every buffer starts aligned and is followed and preceded by guard bytes.
 *
 * A library that runs late is given what the host sees before each op, and the host sees what the op left.
 */
export class Place {
  readonly name: string
  readonly library: KernelLibrary
  readonly stream: NativeStream
  readonly #isLate: boolean
  readonly #blocks: Block[] = []
  readonly #sources: number[] = []
  #isRecording = false

  constructor(name: string, library: KernelLibrary, stream: NativeStream) {
    this.name = name
    this.library = library
    this.stream = stream
    this.#isLate = library.traits().isAsync
  }

  bytes(length: number): { address: number; view: Uint8Array } {
    const total = length + 2 * GUARD_BYTES
    const base = this.stream.alloc(total, "device")
    const staging = this.#isLate ? this.stream.alloc(total, "staging") : 0
    const view = this.#isLate ? new Uint8Array(total) : hostBytes(base, total)
    view.fill(GUARD, 0, GUARD_BYTES).fill(GUARD, GUARD_BYTES + length)
    this.#blocks.push({ base, view, staging })
    return { address: base + GUARD_BYTES, view: view.subarray(GUARD_BYTES, GUARD_BYTES + length) }
  }

  /** Values in the op's memory: a view to read or change, and its address. */
  put<A extends Values>(values: A): Put<A> {
    const { address, view: { buffer, byteOffset } } = this.bytes(values.byteLength)
    const view = new (values.constructor as new (...from: unknown[]) => A)(buffer, byteOffset, values.length)
    view.set(values as never)
    return Object.assign(view, { at: address })
  }

  /** Values that a weight is made from: memory of the host. */
  source(values: Values): { address: number; bytes: number } {
    const address = this.stream.alloc(values.byteLength, "staging")
    this.#sources.push(address)
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
    hostBytes(address, values.byteLength).set(bytes)
    return { address, bytes: values.byteLength }
  }

  /** A part of a weight that is values alone. */
  part(values: Values, n: number, dtype: DType): WeightPart {
    return plainPart({ ...this.source(values), dtype }, n)
  }

  run<N extends OpName>(op: N, values: StructValues<N>): void {
    this.exchange(() => this.stream.run(op, argsOf(op, values)))
  }

  /** Records the ops that `run` runs meanwhile. */
  capture(record: () => void): number {
    this.stream.captureBegin()
    this.#isRecording = true
    try {
      record()
    } finally {
      this.#isRecording = false
    }
    return this.stream.captureEnd()
  }

  launch(graph: number): void {
    this.exchange(() => this.stream.launch(graph))
  }

  /** Fails when an op wrote outside of its buffers; then frees them. */
  close(): void {
    const isBroken = ({ view }: Block): boolean =>
      [...view.subarray(0, GUARD_BYTES), ...view.subarray(-GUARD_BYTES)].some((byte) => byte !== GUARD)
    const broken = this.#blocks.filter(isBroken).map(({ view }) => view.length - 2 * GUARD_BYTES)
    for (const { base, staging } of this.#blocks) {
      this.stream.free(base)
      if (staging !== 0) this.stream.free(staging)
    }
    for (const address of this.#sources) this.stream.free(address)
    this.#blocks.length = this.#sources.length = 0
    expect(broken.map((bytes) => `${this.name}: wrote outside a buffer of ${bytes} bytes`)).toEqual([])
  }

  /** Has the device see what the host sees, gives it work, and waits for what that leaves. */
  exchange(work: () => void): void {
    if (!this.#isLate || this.#isRecording) return work()
    for (const { base, view, staging } of this.#blocks) {
      hostBytes(staging, view.length).set(view)
      this.stream.upload(base, staging, view.length)
    }
    this.stream.synchronize() // the downloads go through the same memory
    try {
      work()
    } finally {
      for (const { base, view, staging } of this.#blocks) this.stream.download(staging, base, view.length)
      try {
        this.stream.synchronize()
      } finally {
        for (const { view, staging } of this.#blocks) view.set(hostBytes(staging, view.length))
      }
    }
  }
}

export function plainPart(values: { address: number; bytes: number; dtype: DType }, n: number): WeightPart {
  return { n, scheme: "plain", groupRows: 1, groupCols: 0, values, scales: null, zeros: null, groupIndex: null }
}

/** Rows of float32 values at an address, close together unless a stride is given. */
export function matrix(data: number | { readonly at: number }, cols: number, stride = cols): MatrixValue {
  return { address: typeof data === "number" ? data : data.at, dtype: "F32", cols, stride }
}

const ABSENT = matrix(0, 0)

// Args live as long as the process: one struct an op serves all calls.
const reused = new Map<OpName, Args<never>>()

export function argsOf<N extends OpName>(op: N, values: StructValues<N>): Args<N> {
  const args = (reused.get(op) ?? new Args(op)) as Args<N>
  reused.set(op, args as unknown as Args<never>)
  const blank: Record<string, number | MatrixValue> = {}
  for (const [field, type] of Object.entries<FieldType>(STRUCTS[op].fields))
    if (field !== "args_bytes" && field !== "reserved") blank[field] = type === "matrix" ? ABSENT : 0
  return args.set({ ...blank, ...values } as StructValues<N>)
}
