import { ConfigError } from "../../base/errors.ts"
import { isObject } from "./json-file.ts"

/** The limits of the format's own reader: a header is at most 100 MB of JSON after an 8-byte length. */
export const MAX_HEADER_BYTES = 100_000_000
export const LENGTH_BYTES = 8
// Entry -> field -> number in a list. Deeper nesting has no meaning here and only strains the JSON parser.
const MAX_DEPTH = 3
// The longest names in use have about a hundred characters; errors repeat them.
const MAX_NAME_LENGTH = 1024
// Tensors of released models have at most five dimensions; a longer list is not a shape.
const MAX_DIMS = 8

const ELEMENT_BITS: Readonly<Record<string, number>> = {
  F64: 64, F32: 32, F16: 16, BF16: 16, F8_E4M3: 8, F8_E5M2: 8, F8_E8M0: 8, F6_E2M3: 6, F6_E3M2: 6, F4: 4, C64: 64,
  I64: 64, I32: 32, I16: 16, I8: 8, U64: 64, U32: 32, U16: 16, U8: 8, BOOL: 8,
}

export interface HeaderEntry {
  readonly name: string
  readonly dtype: string
  readonly shape: readonly number[]
  /** Relative to the first byte after the header. */
  readonly begin: number
  readonly end: number
}

/**
 * Reads the JSON header of a safetensors file whose tensor data has `dataBytes` bytes.
 *
 * The entries tile the data without gap or overlap, and each has the size its shape and type ask for (a type that is
 * unknown here has its place checked, not its size). Errors: `ConfigError` that begins with `path`.
 */
export function parseHeader(header: Uint8Array, dataBytes: number, path: string): HeaderEntry[] {
  const numKeys = countKeys(header, path)
  const root = parseJson(header, path)
  const entries: HeaderEntry[] = []
  let seenKeys = 0
  for (const [name, value] of Object.entries(root)) {
    if (name.length > MAX_NAME_LENGTH)
      throw new ConfigError(`${path}: a name of ${name.length} characters; the limit is ${MAX_NAME_LENGTH}`)
    if (!isObject(value)) throw new ConfigError(`${path}: the header's entry ${name} is not an object`)
    seenKeys += 1 + Object.keys(value).length
    if (name !== "__metadata__") entries.push(readEntry(name, value, path))
  }
  if (seenKeys !== numKeys) throw new ConfigError(`${path}: the header holds the same name twice`)
  checkLayout(entries, dataBytes, path)
  return entries
}

// Keys of all objects, counted before they are parsed: a JSON parser keeps the last of two equal names in silence.
function countKeys(header: Uint8Array, path: string): number {
  if (header[0] !== 0x7b) throw new ConfigError(`${path} is not a safetensors file: its header is not a JSON object`)
  let depth = 0
  let keys = 0
  for (let i = 0; i < header.length; i++) {
    const byte = header[i]!
    if (byte === 0x22) i = endOfString(header, i + 1)
    else if (byte === 0x3a) keys++
    else if (byte === 0x5d || byte === 0x7d) depth--
    else if ((byte === 0x5b || byte === 0x7b) && ++depth > MAX_DEPTH)
      throw new ConfigError(`${path}: the header is nested deeper than ${MAX_DEPTH} levels`)
  }
  return keys
}

function endOfString(header: Uint8Array, start: number): number {
  for (let i = start; i < header.length; i++) {
    if (header[i] === 0x5c) i++
    else if (header[i] === 0x22) return i
  }
  return header.length
}

function parseJson(header: Uint8Array, path: string): Record<string, unknown> {
  let root: unknown
  try {
    root = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(header))
  } catch (error) {
    throw new ConfigError(`${path}: the header is not valid JSON: ${(error as Error).message}`)
  }
  if (!isObject(root)) throw new ConfigError(`${path}: the header is not a JSON object`)
  return root
}

function readEntry(name: string, value: Record<string, unknown>, path: string): HeaderEntry {
  const { dtype, shape, data_offsets: offsets } = value
  const fail = (what: string): never => {
    throw new ConfigError(`${path}: tensor ${name} has ${what}`)
  }
  if (typeof dtype !== "string") return fail(`no dtype`)
  if (!isCountList(shape) || shape.length > MAX_DIMS)
    return fail(`a shape that is not a list of at most ${MAX_DIMS} sizes`)
  if (!isCountList(offsets) || offsets.length !== 2) return fail(`data_offsets that are not two byte positions`)
  const [begin, end] = offsets as [number, number]
  if (begin > end) return fail(`data_offsets [${begin}, ${end}] that run backwards`)
  const bits = ELEMENT_BITS[dtype]
  if (bits !== undefined) {
    const needed = (shape.reduce((product, size) => product * size, 1) * bits) / 8
    if (needed !== end - begin) return fail(`${end - begin} bytes; ${dtype} [${shape.join(", ")}] needs ${needed}`)
  }
  return { name, dtype, shape, begin, end }
}

function isCountList(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && item >= 0)
}

function checkLayout(entries: readonly HeaderEntry[], dataBytes: number, path: string): void {
  let end = 0
  for (const entry of entries.toSorted((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (entry.end > dataBytes)
      throw new ConfigError(
        `${path} is truncated: tensor ${entry.name} ends at byte ${entry.end} of the data, ` +
          `which has ${dataBytes} bytes`,
      )
    if (entry.begin < end) throw new ConfigError(`${path}: tensor ${entry.name} overlaps another tensor`)
    if (entry.begin > end)
      throw new ConfigError(`${path}: ${entry.begin - end} unused bytes before tensor ${entry.name}`)
    end = entry.end
  }
  if (end !== dataBytes) throw new ConfigError(`${path}: ${dataBytes - end} unused bytes after the last tensor`)
}
