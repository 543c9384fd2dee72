import { ptr, type Pointer } from "bun:ffi"
import { assert } from "../src/base/assert.ts"
import { DTYPE } from "./abi.ts"
import {
  STRUCTS, type FieldType, type FieldsOf, type MatrixValue, type StructName, type StructValues, type TensorValue,
} from "./structs.ts"

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
    for (const field in values) this.#write(field, values[field as FieldsOf<N>] as FieldValue)
    return this
  }

  /** A number field. */
  setField(field: FieldsOf<N>, value: number): void {
    this.#write(field as string, value)
  }

  /** The address in a pointer or a matrix field. */
  setAddress(field: FieldsOf<N>, address: number): void {
    writeUint64(this.#view, this.#at(field as string), address)
  }

  /** A number; of a matrix its address. */
  get(field: FieldsOf<N>): number {
    const at = this.#at(field as string)
    const type = (STRUCTS[this.struct].fields as Record<string, FieldType>)[field as string]!
    if (type === "u32") return this.#view.getUint32(at, true)
    if (type === "i32") return this.#view.getInt32(at, true)
    if (type === "f32") return this.#view.getFloat32(at, true)
    return Number(this.#view.getBigUint64(at, true))
  }

  #at(field: string): number {
    return this.#offset + (STRUCTS[this.struct].offsets as Record<string, number>)[field]!
  }

  #write(field: string, value: FieldValue): void {
    const layout = STRUCTS[this.struct]
    const type = (layout.fields as Record<string, FieldType>)[field]
    assert(type !== undefined, () => `${layout.name} has no field ${field}`)
    writeField(this.#view, this.#at(field), { type, value, name: field, struct: layout.name })
  }
}

type FieldValue = number | MatrixValue | TensorValue

interface Field {
  readonly type: FieldType
  readonly value: FieldValue
  readonly name: string
  readonly struct: string
}

function writeField(view: DataView, at: number, { type, value, name, struct }: Field): void {
  if (type === "matrix") return writeMatrix(view, at, value as MatrixValue)
  if (type === "tensor") return writeTensor(view, at, value as TensorValue)
  const number = value as number
  if (type === "f32") {
    assert(!Number.isNaN(number), () => `${struct}.${name} is NaN`)
    view.setFloat32(at, number, true)
    return
  }
  assert(Number.isSafeInteger(number), () => `${struct}.${name} = ${number} is not an integer`)
  if (type === "i32") {
    view.setInt32(at, number, true)
    return
  }
  const limit = type === "u32" ? 0xffff_ffff : Number.MAX_SAFE_INTEGER
  assert(number >= 0 && number <= limit, () => `${struct}.${name} = ${number}`)
  if (type === "u32") view.setUint32(at, number, true)
  else writeUint64(view, at, number)
}

function writeMatrix(view: DataView, at: number, { address, dtype, cols, stride }: MatrixValue): void {
  writeUint64(view, at, address)
  view.setUint32(at + 8, DTYPE[dtype], true)
  view.setUint32(at + 12, cols, true)
  writeUint64(view, at + 16, stride)
}

function writeTensor(view: DataView, at: number, { address, bytes, dtype }: TensorValue): void {
  writeUint64(view, at, address)
  writeUint64(view, at + 8, bytes)
  view.setUint32(at + 16, DTYPE[dtype], true)
}

function writeUint64(view: DataView, at: number, value: number): void {
  view.setUint32(at, value >>> 0, true)
  view.setUint32(at + 4, Math.floor(value / 2 ** 32), true)
}

/** An array of structs (weight parts), contiguous as C has it. */
export function structArray<N extends StructName>(struct: N, items: readonly StructValues<N>[]): Uint8Array {
  const layout = STRUCTS[struct]
  const bytes = new Uint8Array(new ArrayBuffer(Math.max(PAGE_BYTES, layout.bytes * items.length)))
  const view = new DataView(bytes.buffer)
  items.forEach((values, i) => {
    for (const [name, type] of Object.entries<FieldType>(layout.fields)) {
      const at = i * layout.bytes + (layout.offsets as Record<string, number>)[name]!
      const value = (values as Record<string, FieldValue | undefined>)[name]
      if (value !== undefined) writeField(view, at, { type, value, name, struct: layout.name })
    }
  })
  return bytes
}
