/**
 * Runs the same op in the reference library and in every other kernel library this machine can run, at every
 * instruction set level and several thread counts.
 *
 * A case is a function of a `Place`: it allocates its buffers there (guard bytes around each), runs the op, and returns
 * what is to be compared. Equal seeds give equal inputs everywhere.
 */
import { toArrayBuffer, type Pointer } from "bun:ffi"
import { expect, test } from "bun:test"
import { existsSync } from "node:fs"
import { resolve } from "node:path"
import { OPS, type OpName } from "../../ffi/abi.ts"
import { Args } from "../../ffi/args.ts"
import { KernelLibrary, type NativeStream } from "../../ffi/library.ts"
import { STRUCTS, type StructValues } from "../../ffi/structs.ts"
import { Prng } from "../../src/base/prng.ts"

const GUARD_BYTES = 256
const GUARD = 0xa5

type Values = Float32Array | Int32Array | Uint32Array | BigUint64Array | Uint8Array | Uint16Array

/** Memory of one run. Every buffer starts 64-byte aligned and is followed and preceded by guard bytes. */
export class Place {
  readonly name: string
  readonly library: KernelLibrary
  readonly stream: NativeStream
  readonly #blocks: { readonly base: number; readonly bytes: number; readonly guards: Uint8Array[] }[] = []

  constructor(name: string, library: KernelLibrary, stream: NativeStream) {
    this.name = name
    this.library = library
    this.stream = stream
  }

  bytes(length: number): { address: number; buffer: ArrayBuffer } {
    const base = this.stream.alloc(length + 2 * GUARD_BYTES, "host")
    const guards = [base, base + GUARD_BYTES + length].map((at) => {
      const guard = new Uint8Array(toArrayBuffer(at as Pointer, 0, GUARD_BYTES))
      return guard.fill(GUARD)
    })
    this.#blocks.push({ base, bytes: length, guards })
    const address = base + GUARD_BYTES
    return { address, buffer: length === 0 ? new ArrayBuffer(0) : toArrayBuffer(address as Pointer, 0, length) }
  }

  /** Values in the op's memory: a view to read or change, and its address. */
  put<A extends Values>(values: A): A & { readonly at: number } {
    const { address, buffer } = this.bytes(values.byteLength)
    const view = new (values.constructor as new (buffer: ArrayBuffer) => A)(buffer)
    view.set(values as never)
    return Object.assign(view, { at: address })
  }

  run<N extends OpName>(op: N, values: StructValues<(typeof OPS)[N]>): void {
    this.stream.run(op, argsOf(op, values))
  }

  /** Fails when an op wrote outside of its buffers; then frees them. */
  close(): void {
    const broken = this.#blocks.filter((block) => block.guards.some((guard) => guard.some((byte) => byte !== GUARD)))
    for (const block of this.#blocks) this.stream.free(block.base)
    this.#blocks.length = 0
    expect(broken.map((block) => `${this.name}: wrote outside a buffer of ${block.bytes} bytes`)).toEqual([])
  }
}

// Args live as long as the process: one struct an op serves all calls.
const reused = new Map<OpName, Args<never>>()

function argsOf<N extends OpName>(op: N, values: StructValues<(typeof OPS)[N]>): Args<(typeof OPS)[N]> {
  const struct = OPS[op]
  const args = (reused.get(op) ?? new Args(struct)) as Args<(typeof OPS)[N]>
  reused.set(op, args as unknown as Args<never>)
  const blank: Record<string, number> = {}
  for (const field in STRUCTS[struct].fields) if (field !== "args_bytes" && field !== "reserved") blank[field] = 0
  return args.set({ ...blank, ...values } as StructValues<(typeof OPS)[N]>)
}

/** A kernel library of this checkout's build, or null with one printed line. */
export function openLibrary(name: string): KernelLibrary | null {
  const path = resolve(import.meta.dir, `../../build/lib/libbaozi_${name}.so`)
  if (existsSync(path)) return KernelLibrary.open(path)
  console.log(`SKIPPED: ${path} is not built`)
  return null
}

export const reference = openLibrary("ref")
export const cpu = openLibrary("cpu")
export const hasLibraries = reference !== null && cpu !== null
export const isas: readonly string[] = cpu === null ? [] : (cpu.info()["features"] as string[])
export const THREADS = [1, 2, 3]
// More threads than processors, on a machine that does other work too.
export const TIMEOUT_MS = 60_000

const streams = new Map<string, NativeStream>()

export function place(library: KernelLibrary, options: { isa?: string; numThreads?: number } = {}): Place {
  const name = `${library.info()["name"]} ${options.isa ?? ""} threads=${options.numThreads ?? 0}`
  let stream = streams.get(name)
  if (stream === undefined) streams.set(name, (stream = library.createStream(options)))
  return new Place(name, library, stream)
}

export function normals(seed: number, length: number, scale = 1): Float32Array {
  const prng = new Prng(seed)
  const out = new Float32Array(length)
  for (let i = 0; i < length; i++) {
    const radius = Math.sqrt(-2 * Math.log(1 - prng.float()))
    out[i] = scale * radius * Math.cos(2 * Math.PI * prng.float())
  }
  return out
}

/** Mean squared error over mean square of the expected values; NaN and infinities must agree exactly. */
export function nmse(expected: ArrayLike<number>, actual: ArrayLike<number>): number {
  expect(actual.length).toBe(expected.length)
  let error = 0
  let power = 0
  for (let i = 0; i < expected.length; i++) {
    const e = expected[i] as number
    const a = actual[i] as number
    if (Object.is(e, a) || e === a) {
      power += Number.isFinite(e) ? e * e : 0
      continue
    }
    if (!Number.isFinite(e) || !Number.isFinite(a)) return Infinity
    error += (e - a) ** 2
    power += e * e
  }
  return error === 0 ? 0 : error / power
}

function bitsOf(values: Float32Array): Uint32Array {
  return new Uint32Array(values.buffer, values.byteOffset, values.length)
}

/**
 * Compares an op with the reference at every level, and thread counts with each other, bit by bit.
 *
 * `bound`: the largest NMSE, stated with its reason where the case stands; 0 asks for equal values.
 */
export function compare(name: string, bound: number, run: (at: Place) => Float32Array): void {
  test.skipIf(!hasLibraries)(name, () => {
    const copy = (at: Place): Float32Array => {
      const out = Float32Array.from(run(at))
      at.close()
      return out
    }
    const expected = copy(place(reference as KernelLibrary))
    for (const isa of isas) {
      const one = copy(place(cpu as KernelLibrary, { isa, numThreads: 1 }))
      const error = nmse(expected, one)
      if (!(error <= bound)) throw new Error(`${name}, ${isa}: NMSE ${error} > ${bound}`)
      for (const numThreads of THREADS.slice(1)) {
        const many = copy(place(cpu as KernelLibrary, { isa, numThreads }))
        expect(bitsOf(many)).toEqual(bitsOf(one))
      }
    }
  }, TIMEOUT_MS)
}

/** The status and words of an op that must be refused, from both libraries. */
export function refusals(run: (at: Place) => void): { status: number; words: string }[] {
  return [place(reference as KernelLibrary), place(cpu as KernelLibrary, { numThreads: 2 })].map((at) => {
    try {
      run(at)
    } catch (error) {
      return { status: (error as { status?: number }).status ?? -1, words: (error as Error).message }
    } finally {
      at.close()
    }
    return { status: 0, words: "" }
  })
}
