/**
 * Hostile calls of the kernel libraries: each is done within its buffers or refused with words. What steps outside ends
 * the process where the libraries were built for that (`make fuzz`), and may do so elsewhere.
 */
import { ptr, read, type Pointer } from "bun:ffi"
import { expect } from "bun:test"
import { DTYPE, SCHEME, STATUS } from "../../ffi/abi.ts"
import type { KernelLibrary } from "../../ffi/library.ts"
import type { NativeStream } from "../../ffi/stream.ts"
import { OPS, STRUCTS, type OpName } from "../../ffi/structs.ts"
import type { Prng } from "../../src/base/prng.ts"
import { BLOCKS, randomRows, WEIGHT_DTYPES } from "../native/blocks.ts"
import { flatFields, NativeMemory } from "./native-memory.ts"
import { OP_CALLS, type CallContext, type Fields } from "./native-ops.ts"
import type { FuzzTarget } from "./target.ts"

const OP_NAMES = Object.keys(OPS) as OpName[]
const STATUSES: ReadonlySet<number> = new Set(Object.values(STATUS))
/** Fields that say what a buffer holds: more than there is nobody can see. Of these, hostile calls say less. */
const COUNTS = /^(num_|top_k|head_dim|block_size|rot_dim|rope_dim|rank$|[nc]$|.*[._](stride|cols)$)/

/** Says something else in one field, but never that a buffer is larger than it is. */
function spoil(fields: Fields, op: OpName, prng: Prng): void {
  const { name: field, type } = prng.pick(flatFields(op))
  const honest = fields[field] ?? 0
  if (type === "ptr") fields[field] = 0
  else if (type === "f32") fields[field] = prng.pick([NaN, -1, Infinity, -Infinity, 1e-45, 0])
  else if (field === "args_bytes") fields[field] = prng.pick([0, 4, OPS[op].bytes + 8, 2 ** 32 - 1])
  // A smaller one says that x has more rows.
  else if (field === "x_repeat") fields[field] = honest * prng.pick([0, 2, 5])
  else if (COUNTS.test(field)) fields[field] = prng.int(0, honest)
  else if (!/dtype$/.test(field)) fields[field] = prng.pick([1, 2, 5, 255, 2 ** 31, 2 ** 32 - 1])
  else fields[field] = prng.pick([4, 36, 255, 2 ** 32 - 1])
}

/** The library's words for a refusal; empty for what was done. */
function outcome(library: KernelLibrary, what: string, status: number): string {
  if (status === STATUS.ok) return ""
  const words = library.lastError()
  expect([what, STATUSES.has(status), words !== ""]).toEqual([what, true, true])
  return words
}

/** A part of several tensors with any bits at all, or of values alone. */
function makePart(prng: Prng, memory: NativeMemory, c: number): Fields {
  const n = prng.int(1, 9)
  const tensor = (role: string, bytes: Uint8Array<ArrayBuffer>, dtype: number): Fields => ({
    [`${role}.data`]: memory.put(bytes), [`${role}.bytes`]: bytes.length, [`${role}.dtype`]: dtype,
  })
  const anything = (length: number): Uint8Array<ArrayBuffer> => Uint8Array.from({ length }, () => prng.uint32())
  const group_cols = prng.pick([0, 16, 32, 64, 128])
  const groups = group_cols === 0 ? 1 : Math.ceil(c / group_cols)
  const scheme = prng.pick([SCHEME.plain, SCHEME.plain, SCHEME.gptq, SCHEME.fp8])
  if (scheme === SCHEME.gptq) {
    const rows = 8 * n
    const index = Int32Array.from({ length: c }, (_, i) => (
      prng.chance(0.01) ? prng.pick([-1, groups, 2 ** 31 - 1]) : Math.floor(i / (group_cols || c))
    ))
    if (prng.chance(0.5)) index.reverse()
    return {
      n: rows, scheme, group_rows: 1, group_cols, ...tensor("values", anything((c / 8) * rows * 4), DTYPE.I32),
      ...tensor("scales", anything(groups * rows * 2), DTYPE.F16),
      ...(prng.chance(0.5) && tensor("zeros", anything(groups * n * 4), DTYPE.I32)),
      ...(prng.chance(0.5) && tensor("group_index", new Uint8Array(index.buffer), DTYPE.I32)),
    }
  }
  if (scheme === SCHEME.fp8) {
    const group_rows = prng.pick([0, 1, 3])
    const count = groups * (group_rows === 0 ? 1 : Math.ceil(n / group_rows))
    return {
      n, scheme, group_rows, group_cols, ...tensor("values", anything(n * c), DTYPE.F8_E4M3),
      ...tensor("scales", anything(4 * count), DTYPE.F32),
    }
  }
  const dtype = prng.pick(WEIGHT_DTYPES.filter((each) => c % BLOCKS[each].columns === 0))
  const bytes = prng.chance(0.3) ? null : randomRows(dtype, n, c, prng.uint32())
  const { bytes: blockBytes, columns } = BLOCKS[dtype]
  return { n, scheme, ...tensor("values", bytes ?? anything((n * c * blockBytes) / columns), DTYPE[dtype]) }
}

/** A weight of any kind, or null where the library refuses it. `numExperts`: of a stack, 0 for a matrix. */
function makeWeight(
  stream: NativeStream, prng: Prng, memory: NativeMemory, numExperts: number,
): { address: number; n: number; c: number } | null {
  const numParts = prng.int(1, 3)
  const c = prng.pick([8, 32, 40, 64, 256])
  const ofOne = Array.from({ length: numParts }, () => makePart(prng, memory, c))
  const n = ofOne.reduce((sum, part) => sum + part["n"]!, 0)
  const parts = Array.from({ length: Math.max(1, numExperts) }, () => ofOne.map((part) => ({ ...part }))).flat()
  const fields: Fields = { num_parts: numParts, n, c, num_experts: numExperts, compute: prng.int(0, 5) }
  if (prng.chance(0.2)) {
    const partFields = flatFields("weightPart").map(({ name }) => name)
    const wrong = prng.pick([...Object.keys(fields), ...partFields])
    const strange = [0, 1, 3, 7, 99, 2 ** 31, 2 ** 32 - 1]
    if (wrong.endsWith(".data")) prng.pick(parts)[wrong] = 0
    else if (wrong === "num_parts") fields[wrong] = prng.pick([0, 17, 2 ** 32 - 1])
    else if (wrong === "num_experts") fields[wrong] = prng.pick([0, 1, 65_537, 2 ** 32 - 1])
    else if (wrong in fields) fields[wrong] = prng.pick(strange)
    else prng.pick(parts)[wrong] = prng.pick(strange)
  }
  const args = memory.structs("weight", [{ ...fields, parts: memory.structs("weightPart", parts) }]) as Pointer
  const planned = new BigUint64Array(8192)
  const out = new BigUint64Array(8192)
  const { symbols } = stream.library
  const plan = outcome(stream.library, "bz_weight_plan", symbols.bz_weight_plan(stream.address, args, ptr(planned)))
  if (plan === "") symbols.bz_weight_destroy(Number(planned[0]) as Pointer)
  const refusal = outcome(stream.library, "bz_weight_create", symbols.bz_weight_create(stream.address, args, ptr(out)))
  return refusal === "" ? { address: Number(out[0]), n: fields["n"]!, c } : null
}

class NoWeight extends Error {}

/** One call in each case. */
export function nativeTarget(name: string, stream: NativeStream): FuzzTarget {
  const { symbols } = stream.library
  const run = (prng: Prng): void => {
    const memory = new NativeMemory()
    const weights: number[] = []
    const context: CallContext = {
      prng, memory,
      weight: (numExperts = 0) => {
        const weight = makeWeight(stream, prng, memory, numExperts)
        if (weight === null) throw new NoWeight()
        weights.push(weight.address)
        return weight
      },
      cacheBytes: (shape) => {
        const args = memory.structs("kvCache", [shape]) as Pointer
        outcome(stream.library, "bz_kv_cache_bytes", symbols.bz_kv_cache_bytes(args))
        return Number(read.u64(args, STRUCTS.kvCache.offsets.out_bytes))
      },
      latentCacheBytes: (shape) => {
        const args = memory.structs("latentCache", [shape]) as Pointer
        outcome(stream.library, "bz_latent_cache_bytes", symbols.bz_latent_cache_bytes(args))
        return Number(read.u64(args, STRUCTS.latentCache.offsets.out_bytes))
      },
    }
    try {
      const op = prng.pick(OP_NAMES)
      const fields = OP_CALLS[op](context)
      if (prng.chance(0.4)) spoil(fields, op, prng)
      const call = symbols[op] as (stream: Pointer, args: Pointer) => number
      outcome(stream.library, op, call(stream.address, memory.structs(op, [fields]) as Pointer))
    } catch (error) {
      if (!(error instanceof NoWeight)) throw error
    } finally {
      for (const weight of weights) symbols.bz_weight_destroy(weight as Pointer)
      memory.free()
    }
  }
  return { name, run }
}
