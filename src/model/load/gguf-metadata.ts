import { ConfigError } from "../../base/errors.ts"
import { ByteReader } from "./gguf-bytes.ts"

// The format allows keys of 64 KiB.
const MAX_KEY_BYTES = 65_535
// The longest strings are whole tokenizer.json files that some converters embed, 33 MB for a vocabulary of 262,144.
const MAX_STRING_BYTES = 64 * 1024 * 1024
// Sixteen times the largest vocabulary or merge list in use; a decoded element takes many times its bytes in the file.
const MAX_ARRAY_LENGTH = 8 * 1024 * 1024
// No released file nests arrays; the format allows it.
const MAX_ARRAY_DEPTH = 4
// Real files have fewer than a hundred entries; their reading is linear in the file all the same.
const MAX_ENTRIES = 65_536

const TYPE_STRING = 8
const TYPE_ARRAY = 9

type ReadScalar = (reader: ByteReader, what: string) => unknown
interface Scalar {
  readonly bytes: number
  readonly read: ReadScalar
}

const SCALARS: ReadonlyMap<number, Scalar> = new Map<number, Scalar>([
  [0, { bytes: 1, read: (reader, what) => reader.u8(what) }],
  [1, { bytes: 1, read: (reader, what) => reader.i8(what) }],
  [2, { bytes: 2, read: (reader, what) => reader.u16(what) }],
  [3, { bytes: 2, read: (reader, what) => reader.i16(what) }],
  [4, { bytes: 4, read: (reader, what) => reader.u32(what) }],
  [5, { bytes: 4, read: (reader, what) => reader.i32(what) }],
  [6, { bytes: 4, read: (reader, what) => reader.f32(what) }],
  [7, { bytes: 1, read: readBool }],
  [10, { bytes: 8, read: (reader, what) => reader.u64(what) }],
  [11, { bytes: 8, read: (reader, what) => reader.i64(what) }],
  [12, { bytes: 8, read: (reader, what) => reader.f64(what) }],
])

function readBool(reader: ByteReader, what: string): boolean {
  const value = reader.u8(what)
  if (value > 1) throw new ConfigError(`${reader.path}: ${what} is a boolean of value ${value}`)
  return value === 1
}

/** An array whose bytes were checked and copied; decoded when somebody wants it, as vocabularies are large. */
class DeferredArray {
  readonly #bytes: Uint8Array
  readonly #path: string
  readonly #key: string

  constructor(bytes: Uint8Array, path: string, key: string) {
    this.#bytes = bytes
    this.#path = path
    this.#key = key
  }

  decode(): unknown[] {
    return readArray(new ByteReader(this.#bytes, this.#path), this.#key)
  }
}

/** Keys and values of a GGUF file. Arrays are plain arrays, decoded at their first `get`; they outlive the mapping. */
export class GgufMetadata extends Map<string, unknown> {
  override get(key: string): unknown {
    const value = super.get(key)
    if (!(value instanceof DeferredArray)) return value
    const decoded = value.decode()
    super.set(key, decoded)
    return decoded
  }

  override *entries(): MapIterator<[string, unknown]> {
    for (const key of super.keys()) yield [key, this.get(key)]
  }

  override *values(): MapIterator<unknown> {
    for (const key of super.keys()) yield this.get(key)
  }

  override [Symbol.iterator](): MapIterator<[string, unknown]> {
    return this.entries()
  }

  override forEach(visit: (value: unknown, key: string, map: Map<string, unknown>) => void): void {
    for (const [key, value] of this.entries()) visit(value, key, this)
  }
}

/** Errors: `ConfigError` for a truncated or malformed entry, or one above a limit. */
export function readMetadata(reader: ByteReader, numEntries: number): GgufMetadata {
  if (numEntries > MAX_ENTRIES)
    throw new ConfigError(`${reader.path}: ${numEntries} metadata entries; the limit is ${MAX_ENTRIES}`)
  const metadata = new GgufMetadata()
  for (let i = 0; i < numEntries; i++) {
    const key = reader.string("the length of a metadata key", MAX_KEY_BYTES)
    if (metadata.has(key)) throw new ConfigError(`${reader.path}: metadata key ${key} occurs twice`)
    metadata.set(key, readValue(reader, key))
  }
  return metadata
}

function readValue(reader: ByteReader, key: string): unknown {
  const type = reader.u32(`the type of ${key}`)
  if (type === TYPE_STRING) return reader.string(key, MAX_STRING_BYTES)
  if (type !== TYPE_ARRAY) return scalarOf(type, reader, key).read(reader, key)
  const start = reader.offset
  skipArray(reader, key, 1)
  return new DeferredArray(reader.copyFrom(start), reader.path, key)
}

function scalarOf(type: number, reader: ByteReader, key: string): Scalar {
  const scalar = SCALARS.get(type)
  if (scalar === undefined) throw new ConfigError(`${reader.path}: ${key} has the unknown value type ${type}`)
  return scalar
}

// Checks everything that reading relies on, so that decoding later cannot fail.
function skipArray(reader: ByteReader, key: string, depth: number): void {
  if (depth > MAX_ARRAY_DEPTH)
    throw new ConfigError(`${reader.path}: ${key} nests arrays deeper than ${MAX_ARRAY_DEPTH}`)
  const type = reader.u32(`the element type of ${key}`)
  const length = reader.count(`the length of ${key}`, MAX_ARRAY_LENGTH)
  if (type === TYPE_ARRAY) {
    for (let i = 0; i < length; i++) skipArray(reader, key, depth + 1)
  } else if (type === TYPE_STRING) {
    reader.skipStrings(length, key, MAX_STRING_BYTES)
  } else {
    const scalar = scalarOf(type, reader, key)
    if (scalar.read === readBool) for (let i = 0; i < length; i++) readBool(reader, key)
    else reader.skip(length * scalar.bytes, key)
  }
}

function readArray(reader: ByteReader, key: string): unknown[] {
  const type = reader.u32(key)
  const length = reader.count(key, MAX_ARRAY_LENGTH)
  if (type === TYPE_STRING) return reader.strings(length, key, MAX_STRING_BYTES)
  const read = type === TYPE_ARRAY ? readArray : scalarOf(type, reader, key).read
  const values: unknown[] = new Array(length)
  for (let i = 0; i < length; i++) values[i] = read(reader, key)
  return values
}
