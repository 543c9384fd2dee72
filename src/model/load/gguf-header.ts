import { roundUp } from "../../base/math.ts"
import { ConfigError } from "../../base/errors.ts"
import { ByteReader } from "./gguf-bytes.ts"
import { readMetadata, type GgufMetadata } from "./gguf-metadata.ts"
import { GGUF_TYPES } from "./gguf-types.ts"

/** Metadata and tensor list must end here: the largest vocabularies with their merges take about 40 MB. */
export const MAX_HEADER_BYTES = 256 * 1024 * 1024
// A mixture of experts stored expert by expert has tens of thousands of tensors.
const MAX_TENSORS = 262_144
// ggml's own limit is 64.
const MAX_NAME_BYTES = 255
const MAX_DIMS = 4
const DEFAULT_ALIGNMENT = 32
// Alignments in use are 32 and, for direct reading from disk, pages. A larger one only wastes the file.
const MAX_ALIGNMENT = 65_536

const MAGIC = 0x4655_4747 // "GGUF"

export interface GgufTensor {
  readonly name: string
  /** The number of the tensor's type in the file, known here or not. */
  readonly type: number
  /** Outermost first: the file lists them the other way round. */
  readonly shape: readonly number[]
  /** From the start of the file. */
  readonly offset: number
  /** Zero for a type whose size is not known here. */
  readonly bytes: number
}

export interface GgufHeader {
  readonly version: number
  readonly metadata: GgufMetadata
  readonly tensors: readonly GgufTensor[]
}

/**
 * Reads the header of a GGUF file of `fileBytes` bytes from its first bytes.
 *
 * Tensors of known types are inside the file, aligned and apart. Errors: `ConfigError` that begins with `path`.
 * Source: the GGUF specification, versions 2 and 3, little-endian.
 */
export function parseGguf(head: Uint8Array, fileBytes: number, path: string): GgufHeader {
  const reader = new ByteReader(head, path)
  const version = readVersion(reader)
  const numTensors = reader.count("the number of tensors", MAX_TENSORS)
  const numEntries = reader.count("the number of metadata entries", Number.MAX_SAFE_INTEGER)
  const metadata = readMetadata(reader, numEntries)
  const alignment = readAlignment(metadata, path)
  const infos = []
  for (let i = 0; i < numTensors; i++) infos.push(readTensorInfo(reader, fileBytes))
  const dataStart = roundUp(reader.offset, alignment)
  const tensors = infos.map((info) => placeTensor(info, { dataStart, alignment, fileBytes, path }))
  checkApart(tensors, path)
  return { version, metadata, tensors }
}

function readVersion(reader: ByteReader): number {
  if (reader.remaining < 4 || reader.u32("the magic") !== MAGIC)
    throw new ConfigError(`${reader.path} is not a GGUF file`)
  const version = reader.u32("the version")
  if (version === 2 || version === 3) return version
  if (version === 0x0300_0000 || version === 0x0200_0000)
    throw new ConfigError(`${reader.path} is a big-endian GGUF file, which is not supported`)
  throw new ConfigError(`${reader.path} is a GGUF file of version ${version}; versions 2 and 3 are supported`)
}

function readAlignment(metadata: GgufMetadata, path: string): number {
  const value = metadata.get("general.alignment") ?? DEFAULT_ALIGNMENT
  const isPowerOfTwo =
    typeof value === "number" && Number.isInteger(Math.log2(value)) && value >= 8 && value <= MAX_ALIGNMENT
  if (!isPowerOfTwo)
    throw new ConfigError(
      `${path}: general.alignment is ${String(value)}; a power of two from 8 to ${MAX_ALIGNMENT} is needed`,
    )
  return value
}

interface TensorInfo {
  readonly name: string
  readonly shape: readonly number[]
  readonly numElements: number
  readonly type: number
  readonly dataOffset: number
}

function readTensorInfo(reader: ByteReader, fileBytes: number): TensorInfo {
  const name = reader.string("the length of a tensor name", MAX_NAME_BYTES)
  const numDims = reader.u32(`the number of dimensions of ${name}`)
  if (numDims < 1 || numDims > MAX_DIMS)
    throw new ConfigError(`${reader.path}: tensor ${name} has ${numDims} dimensions; 1 to ${MAX_DIMS} are possible`)
  // No type takes less than a bit an element, so that a product above this cannot be in the file; below it is exact.
  const maxElements = fileBytes * 8
  const shape: number[] = []
  let numElements = 1
  for (let i = 0; i < numDims; i++) {
    const size = reader.count(`a dimension of ${name}`, Number.MAX_SAFE_INTEGER)
    if (size < 1 || size > maxElements / numElements)
      throw new ConfigError(
        `${reader.path}: tensor ${name} has a dimension of ${size}, which cannot be in ${fileBytes} bytes`,
      )
    numElements *= size
    shape.unshift(size)
  }
  const type = reader.u32(`the type of ${name}`)
  const dataOffset = reader.count(`the offset of ${name}`, Number.MAX_SAFE_INTEGER)
  return { name, shape, numElements, type, dataOffset }
}

interface Placement {
  readonly dataStart: number
  readonly alignment: number
  readonly fileBytes: number
  readonly path: string
}

function placeTensor(info: TensorInfo, { dataStart, alignment, fileBytes, path }: Placement): GgufTensor {
  const { name, shape, numElements, type, dataOffset } = info
  if (dataOffset % alignment !== 0)
    throw new ConfigError(`${path}: tensor ${name} begins at ${dataOffset}, which is no multiple of ${alignment}`)
  const known = GGUF_TYPES.get(type)
  const rowLength = shape.at(-1)!
  if (known !== undefined && rowLength % known.elements !== 0)
    throw new ConfigError(
      `${path}: tensor ${name} has rows of ${rowLength}; ${known.name} stores ${known.elements} at a time`,
    )
  const bytes = known === undefined ? 0 : (numElements / known.elements) * known.bytes
  const offset = dataStart + dataOffset
  if (offset + bytes > fileBytes)
    throw new ConfigError(
      `${path} is truncated: tensor ${name} ends at byte ${offset + bytes}, the file has ${fileBytes}`,
    )
  return { name, type, shape, offset, bytes }
}

function checkApart(tensors: readonly GgufTensor[], path: string): void {
  let end = 0
  for (const tensor of tensors.toSorted((a, b) => a.offset - b.offset || a.bytes - b.bytes)) {
    if (tensor.offset < end) throw new ConfigError(`${path}: tensor ${tensor.name} overlaps another tensor`)
    end = tensor.offset + tensor.bytes
  }
}
