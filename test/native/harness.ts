/**
 * Runs the same op in the reference library and in every other kernel library this machine can run, at every
 * instruction set level and several thread counts.
 *
 * A case is a function of a `Place`: it allocates its buffers there (guard bytes around each), runs the op, and returns
 * what is to be compared. Equal seeds give equal inputs everywhere.
 */
import { expect, test } from "bun:test"
import { existsSync } from "node:fs"
import { resolve } from "node:path"
import { KernelLibrary } from "../../ffi/library.ts"
import { NativeStream } from "../../ffi/stream.ts"
import { Prng } from "../../src/base/prng.ts"
import { Place } from "./place.ts"

export { hostBytes, matrix, Place, plainPart, type Put } from "./place.ts"

/** A kernel library of this checkout's build, or null with one printed line. */
export function openLibrary(name: string): KernelLibrary | null {
  const path = resolve(import.meta.dir, `../../build/lib/libbaozi_${name}.so`)
  if (existsSync(path)) return KernelLibrary.open(path)
  console.log(`SKIPPED: ${path} is not built`)
  return null
}

export const reference = openLibrary("ref")
export const cpu = openLibrary("cpu")
/** The CPU library as a device that runs everything late; see native/async. */
export const late = openLibrary("async")
export const hasLibraries = reference !== null && cpu !== null && late !== null
export const libraries: readonly KernelLibrary[] = hasLibraries ? [reference!, cpu!, late!] : []
export const isas: readonly string[] = cpu === null ? [] : (cpu.info()["features"] as string[])
export const THREADS = [1, 2, 3]
// More threads than processors, on a machine that does other work too.
export const TIMEOUT_MS = 60_000

const streams = new Map<string, NativeStream>()

export function place(library: KernelLibrary, options: { isa?: string; numThreads?: number } = {}): Place {
  const name = `${library.info()["name"]} ${options.isa ?? ""} threads=${options.numThreads ?? 0}`
  let stream = streams.get(name)
  if (stream === undefined) streams.set(name, (stream = NativeStream.create(library, options)))
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
      if (isa !== isas.at(-1)) continue
      expect(bitsOf(copy(place(late as KernelLibrary, { isa, numThreads: 2 })))).toEqual(bitsOf(one))
    }
  }, TIMEOUT_MS)
}

/** The status and words of an op that must be refused, from every library. */
export function refusals(run: (at: Place) => void): { status: number; words: string }[] {
  return libraries.map((library) => place(library, { numThreads: 2 })).map((at) => {
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
