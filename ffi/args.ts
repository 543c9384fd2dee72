import { ptr, type Pointer } from "bun:ffi"
import { assert } from "../src/base/assert.ts"
import { STRUCTS, type FieldType, type FieldsOf, type StructName, type StructValues } from "./structs.ts"

// The address of a small typed array can move when its storage is promoted; that of a buffer this large does not.
const PAGE_BYTES = 64 * 1024

/**
 * Memory for argument structs, at addresses that stay put for the life of the process. Structs are never freed: they
 * belong to prepared ops that live as long as their model, or are reused for every call.
 */
class ArgsPage {
  readonly view: DataView
  readonly address: number
  used = 0

  constructor() {
    const buffer = new ArrayBuffer(PAGE_BYTES)
    this.view = new DataView(buffer)
    this.address = ptr(buffer)
  }
}

let page: ArgsPage | null = null

function reserve(bytes: number): { page: ArgsPage; offset: number } {
  assert(bytes <= PAGE_BYTES, () => `struct of ${bytes} bytes`)
  if (page === null || page.used + bytes > PAGE_BYTES) page = new ArgsPage()
  const offset = page.used
  page.used = Math.ceil((offset + bytes) / 64) * 64
  return { page, offset }
}

/** One argument struct at a fixed address. Setters refuse what C would silently take for something else. */
export class Args<N extends StructName> {
  readonly address: Pointer
  readonly struct: N
  readonly #view: DataView
  readonly #offset: number

  constructor(struct: N, values: StructValues<N> = {}) {
    const layout = STRUCTS[struct]
    const { page, offset } = reserve(layout.bytes)
    this.struct = struct
    this.#view = page.view
    this.#offset = offset
    this.address = (page.address + offset) as Pointer
    if ("args_bytes" in layout.fields) this.#write("args_bytes", layout.bytes)
    this.set(values)
  }

  set(values: StructValues<N>): this {
    for (const field in values) this.#write(field, values[field as FieldsOf<N>] as number)
    return this
  }

  setField(field: FieldsOf<N>, value: number): void {
    this.#write(field as string, value)
  }

  get(field: FieldsOf<N>): number {
    const layout = STRUCTS[this.struct]
    const at = this.#offset + (layout.offsets as Record<string, number>)[field as string]!
    const type = (layout.fields as Record<string, FieldType>)[field as string]!
    if (type === "u32") return this.#view.getUint32(at, true)
    if (type === "i32") return this.#view.getInt32(at, true)
    if (type === "f32") return this.#view.getFloat32(at, true)
    return Number(this.#view.getBigUint64(at, true))
  }

  #write(field: string, value: number): void {
    const layout = STRUCTS[this.struct]
    const type = (layout.fields as Record<string, FieldType>)[field]
    assert(type !== undefined, () => `${layout.name} has no field ${field}`)
    const at = this.#offset + (layout.offsets as Record<string, number>)[field]!
    if (type === "f32") {
      assert(!Number.isNaN(value), () => `${layout.name}.${field} is NaN`)
      this.#view.setFloat32(at, value, true)
      return
    }
    assert(Number.isSafeInteger(value), () => `${layout.name}.${field} = ${value} is not an integer`)
    if (type === "i32") {
      this.#view.setInt32(at, value, true)
      return
    }
    const limit = type === "u32" ? 0xffff_ffff : Number.MAX_SAFE_INTEGER
    assert(value >= 0 && value <= limit, () => `${layout.name}.${field} = ${value}`)
    this.#view.setUint32(at, value >>> 0, true)
    if (type !== "u32") this.#view.setUint32(at + 4, Math.floor(value / 2 ** 32), true)
  }
}

/** An array of structs (weight parts), contiguous as C has it. */
export function structArray<N extends StructName>(struct: N, items: readonly StructValues<N>[]): Uint8Array {
  const layout = STRUCTS[struct]
  const bytes = new Uint8Array(new ArrayBuffer(Math.max(PAGE_BYTES, layout.bytes * items.length)))
  const view = new DataView(bytes.buffer)
  items.forEach((values, i) => {
    for (const [field, type] of Object.entries<FieldType>(layout.fields)) {
      const at = i * layout.bytes + (layout.offsets as Record<string, number>)[field]!
      const value = (values as Record<string, number | undefined>)[field] ?? 0
      if (type === "u32") view.setUint32(at, value, true)
      else view.setBigUint64(at, BigInt(value), true)
    }
  })
  return bytes
}
