/** Memory for hostile calls: buffers as large as the call says and no larger, so that a sanitizer sees a step outside. */
import { dlopen, toArrayBuffer, type Pointer } from "bun:ffi"
import { STRUCTS, type FieldType, type StructName } from "../../ffi/structs.ts"
import { present } from "../../src/base/assert.ts"

/** The sanitizer's own where there is one: what it has not handed out it does not watch. */
const allocator = dlopen(process.env["BAOZI_ALLOCATOR"] ?? "libc.so.6", {
  malloc: { args: ["u64"], returns: "ptr" },
  free: { args: ["ptr"], returns: "void" },
}).symbols

type NumberType = "u32" | "i32" | "f32" | "u64" | "ptr"

/** A field of a struct, or of a struct in it: "x.cols". */
export interface FlatField {
  readonly name: string
  readonly type: NumberType
  readonly at: number
}

export function flatFields(struct: StructName, prefix = "", base = 0): FlatField[] {
  const { fields, offsets } = STRUCTS[struct]
  return Object.entries<FieldType>(fields).flatMap(([field, type]) => {
    const at = base + (offsets as Record<string, number>)[field]!
    if (type === "matrix") return flatFields("matrix", `${field}.`, at)
    if (type === "tensor") return flatFields("weightTensor", `${field}.`, at)
    return [{ name: prefix + field, type, at }]
  })
}

type Numbers = Float32Array | Int32Array | Uint32Array | Uint16Array | BigUint64Array | Uint8Array

export class NativeMemory {
  readonly #blocks: Pointer[] = []

  put(values: Numbers): number {
    const address = present(allocator.malloc(Math.max(1, values.byteLength)), "memory") as Pointer
    this.#blocks.push(address)
    if (values.byteLength > 0) {
      const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
      new Uint8Array(toArrayBuffer(address, 0, values.byteLength)).set(bytes)
    }
    return address
  }

  /** The structs one after the other. Takes whatever fits the fields' bits: NaN, and numbers that mean nothing. */
  structs(name: StructName, items: readonly Readonly<Record<string, number>>[]): number {
    const { bytes } = STRUCTS[name]
    const out = new Uint8Array(bytes * items.length)
    const view = new DataView(out.buffer)
    for (const [i, values] of items.entries()) {
      for (const { name: field, type, at } of flatFields(name)) {
        const value = values[field] ?? (field === "args_bytes" ? bytes : 0)
        if (type === "f32") view.setFloat32(i * bytes + at, value, true)
        else if (type === "u32" || type === "i32") view.setUint32(i * bytes + at, value >>> 0, true)
        else view.setBigUint64(i * bytes + at, BigInt.asUintN(64, BigInt(value)), true)
      }
    }
    return this.put(out)
  }

  free(): void {
    for (const block of this.#blocks.splice(0)) allocator.free(block)
  }
}
