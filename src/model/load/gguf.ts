import { existsSync } from "node:fs"
import { assert } from "../../base/assert.ts"
import { ConfigError } from "../../base/errors.ts"
import { refuseLfsPointer } from "../../base/lfs-pointer.ts"
import type { FileMapping, MapFile, ModelSource } from "./checkpoint.ts"
import { TruncatedError } from "./gguf-bytes.ts"
import { ggufConfig, ggufGenerationConfig } from "./gguf-config.ts"
import { MAX_HEADER_BYTES, parseGguf, type GgufHeader, type GgufTensor } from "./gguf-header.ts"
import { KeyReader } from "./gguf-keys.ts"
import {
  expertName, ggufArchitecture, huggingFaceName, isLoneRow, ROPE_FACTORS, type GgufArchitecture,
} from "./gguf-names.ts"
import { GGUF_TYPES } from "./gguf-types.ts"
import { MappedCheckpoint, withMappings, type TensorEntry } from "./mapped-checkpoint.ts"

// Holds the headers of all but the largest vocabularies.
const FIRST_READ_BYTES = 16 * 1024 * 1024

interface Part {
  readonly path: string
  readonly file: FileMapping
  readonly header: GgufHeader
}

/**
 * Opens a GGUF file, or all parts of one when `path` is the first.
 *
 * Errors: `ConfigError` for a truncated, malformed or unsupported file.
 */
export function openGguf(path: string, mapFile: MapFile): ModelSource {
  return withMappings((keep) => {
    const parts = openParts(path, (partPath) => keep(mapFile(partPath)))
    const { metadata } = parts[0]!.header
    const architecture = ggufArchitecture(metadata.get("general.architecture"), path)
    const tensors = new Map(parts.flatMap(({ header }) => header.tensors.map((tensor) => [tensor.name, tensor])))
    const config = ggufConfig({
      path, metadata, architecture,
      shapeOf: (name) => tensors.get(name)?.shape ?? null,
      ropeFactors: readRopeFactors(parts),
    })
    return {
      path, kind: "gguf", config,
      generationConfig: ggufGenerationConfig(metadata, path),
      ropeInterleaved: architecture.ropeInterleaved,
      ggufMetadata: metadata,
      checkpoint: new MappedCheckpoint(
        parts.map((part) => part.file),
        entriesOf(parts, architecture),
      ),
    }
  })
}

/** The files of a model, the given one first. The first of several holds the metadata of all. */
function openParts(path: string, map: MapFile): Part[] {
  const first = openPart(path, map)
  const split = new KeyReader(first.header.metadata, "split.", path)
  const numParts = split.int("count") ?? 1
  if (numParts <= 1) return [first]
  const suffix = /-(\d{5})-of-(\d{5})(\.gguf)$/i.exec(path)
  if (suffix === null || Number(suffix[2]) !== numParts)
    throw new ConfigError(
      `${path} is one of ${numParts} parts, and its name does not end in -00001-of-${padded(numParts)}.gguf`,
    )
  if (split.int("no") !== 0 || Number(suffix[1]) !== 1)
    throw new ConfigError(
      `${path} is a later part of a model; give the one that ends in -00001-of-${padded(numParts)}.gguf`,
    )
  const stem = path.slice(0, suffix.index)
  const rest = `-of-${padded(numParts)}${suffix[3]}`
  const others = Array.from({ length: numParts - 1 }, (_, i) => `${stem}-${padded(i + 2)}${rest}`)
  const missing = others.find((other) => !existsSync(other))
  if (missing !== undefined) throw new ConfigError(`${missing} is missing: the model has ${numParts} parts`)
  return [first, ...others.map((other) => openPart(other, map))]
}

function padded(part: number): string {
  return String(part).padStart(5, "0")
}

/** As much of a file as shows whether a pointer is in its place. */
const LFS_POINTER_BYTES = 128

function openPart(path: string, map: MapFile): Part {
  const file = map(path)
  refuseLfsPointer(file.bytes(0, Math.min(file.size, LFS_POINTER_BYTES)), path)
  return { path, file, header: readHeader(path, file) }
}

/** The header's length is nowhere stated: as much of the file is read as it turns out to need. */
function readHeader(path: string, file: FileMapping): GgufHeader {
  const most = Math.min(file.size, MAX_HEADER_BYTES)
  for (let bytes = Math.min(most, FIRST_READ_BYTES); ; bytes = Math.min(most, 4 * bytes)) {
    try {
      return parseGguf(file.bytes(0, bytes), file.size, path)
    } catch (error) {
      if (!(error instanceof TruncatedError) || bytes === most) throw error
    }
  }
}

/** Of all tensors, those of a stack's experts included: far more than any model has, and a damaged file may claim. */
const MAX_ENTRIES = 1_048_576

function entriesOf(parts: readonly Part[], architecture: GgufArchitecture): TensorEntry[] {
  const entries: TensorEntry[] = []
  for (const part of parts) {
    for (const tensor of part.header.tensors) {
      if (tensor.name === ROPE_FACTORS) continue
      const nameOf = expertName(tensor.name, architecture)
      const entry = entryOf(part, tensor, architecture)
      const numExperts = nameOf === null ? 1 : numExpertsOf(entry)
      if (entries.length + numExperts > MAX_ENTRIES)
        throw new ConfigError(`${part.path} has more than ${MAX_ENTRIES} tensors, each expert's counted`)
      if (nameOf === null) entries.push(entry)
      else for (let e = 0; e < numExperts; e++) entries.push(expertOf(entry, nameOf(e), e))
    }
  }
  return entries
}

function entryOf({ path, file }: Part, tensor: GgufTensor, architecture: GgufArchitecture): TensorEntry {
  const type = GGUF_TYPES.get(tensor.type)
  return {
    name: huggingFaceName(tensor.name, architecture),
    dtype: type?.dtype ?? null,
    typeName: type?.name ?? `number ${tensor.type}`,
    shape: isLoneRow(tensor.name) && tensor.shape.length === 1 ? [1, ...tensor.shape] : tensor.shape,
    path, file, offset: tensor.offset, bytes: tensor.bytes,
  }
}

function numExpertsOf({ name, path, shape }: TensorEntry): number {
  if (shape.length === 3) return shape[0]!
  throw new ConfigError(`${path}: ${name} is [${shape.join(", ")}]; it must have three dimensions`)
}

/** One matrix of a stack. Rows are whole blocks, so that matrices are as long as each other. */
function expertOf(stack: TensorEntry, name: string, e: number): TensorEntry {
  const bytes = stack.bytes / stack.shape[0]!
  return { ...stack, name, shape: stack.shape.slice(1), offset: stack.offset + e * bytes, bytes }
}

function readRopeFactors(parts: readonly Part[]): readonly number[] | null {
  for (const { path, file, header } of parts) {
    const tensor = header.tensors.find(({ name }) => name === ROPE_FACTORS)
    if (tensor !== undefined) return readFloats(tensor, file, path)
  }
  return null
}

function readFloats(tensor: GgufTensor, file: FileMapping, path: string): readonly number[] {
  const type = GGUF_TYPES.get(tensor.type)
  if (type?.name !== "F32" || tensor.shape.length !== 1)
    throw new ConfigError(`${path}: tensor ${tensor.name} is not a list of F32`)
  const bytes = file.bytes(tensor.offset, tensor.bytes)
  assert(bytes.length === tensor.bytes)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const floats = Array.from({ length: bytes.length / 4 }, (_, i) => view.getFloat32(i * 4, true))
  file.release(tensor.offset, tensor.bytes)
  return floats
}
