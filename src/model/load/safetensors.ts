import { existsSync } from "node:fs"
import { join } from "node:path"
import { ConfigError } from "../../base/errors.ts"
import { refuseLfsPointer } from "../../base/lfs-pointer.ts"
import type { Checkpoint, MapFile } from "./checkpoint.ts"
import type { DType } from "./dtype.ts"
import { isObject, readJsonObject } from "./json-file.ts"
import { MappedCheckpoint, withMappings, type TensorEntry } from "./mapped-checkpoint.ts"
import { LENGTH_BYTES, MAX_HEADER_BYTES, parseHeader } from "./safetensors-header.ts"

export const SINGLE_FILE = "model.safetensors"
export const INDEX_FILE = "model.safetensors.index.json"

const DTYPES: Readonly<Record<string, DType>> = {
  F32: "F32", F16: "F16", BF16: "BF16", I32: "I32", F8_E4M3: "F8_E4M3",
}

/**
 * Opens the safetensors checkpoint of a directory: one file, or the shards that its index names.
 *
 * Errors: `ConfigError` for a missing, truncated or malformed file, naming the file and, for a shard, a tensor in it.
 */
export function openSafetensors(directory: string, mapFile: MapFile): Checkpoint {
  const index = readJsonObject(join(directory, INDEX_FILE))
  const shards = index === null ? new Map([[SINGLE_FILE, []]]) : readIndex(index, directory)
  // Shards that were merged by hand may store a tensor that the index takes from another one.
  const homes = new Map([...shards].flatMap(([fileName, names]) => names.map((name) => [name, fileName])))
  requireShards(shards, directory)
  return withMappings((keep) => {
    const files = []
    const entries: TensorEntry[] = []
    for (const [fileName, names] of shards) {
      const path = join(directory, fileName)
      const file = keep(mapFile(path))
      const found = readEntries(path, file)
      const stored = new Set(found.map((entry) => entry.name))
      const absent = names.find((name) => !stored.has(name))
      if (absent !== undefined)
        throw new ConfigError(`${path} lacks tensor ${absent}, which ${INDEX_FILE} says it holds`)
      files.push(file)
      entries.push(...found.filter(({ name }) => (homes.get(name) ?? fileName) === fileName))
    }
    return new MappedCheckpoint(files, entries)
  })
}

function readIndex(index: Record<string, unknown>, directory: string): Map<string, string[]> {
  const path = join(directory, INDEX_FILE)
  const weightMap = index["weight_map"]
  if (!isObject(weightMap)) throw new ConfigError(`${path} has no weight_map object`)
  const shards = new Map<string, string[]>()
  for (const [name, fileName] of Object.entries(weightMap)) {
    // A plain name cannot lead out of the directory.
    if (typeof fileName !== "string" || !/^[^/\\\0]+\.safetensors$/.test(fileName))
      throw new ConfigError(
        `${path}: tensor ${name} is in ${JSON.stringify(fileName)}, which is no safetensors file name`,
      )
    const names = shards.get(fileName)
    if (names === undefined) shards.set(fileName, [name])
    else names.push(name)
  }
  if (shards.size === 0) throw new ConfigError(`${path}: weight_map is empty`)
  return shards
}

function requireShards(shards: ReadonlyMap<string, readonly string[]>, directory: string): void {
  for (const [fileName, names] of shards) {
    if (existsSync(join(directory, fileName))) continue
    const holds =
      names.length === 0
        ? ""
        : `; it holds tensor ${names[0]!}` + (names.length > 1 ? ` and ${names.length - 1} more` : "")
    throw new ConfigError(`${join(directory, fileName)} is missing${holds}`)
  }
}

function readEntries(path: string, file: ReturnType<MapFile>): TensorEntry[] {
  if (file.size < LENGTH_BYTES)
    throw new ConfigError(`${path} is truncated: ${file.size} bytes cannot hold a safetensors header`)
  refuseLfsPointer(file.bytes(0, Math.min(file.size, 256)), path)
  const prefix = file.bytes(0, LENGTH_BYTES)
  const length = new DataView(prefix.buffer, prefix.byteOffset, LENGTH_BYTES).getBigUint64(0, true)
  if (length > BigInt(MAX_HEADER_BYTES))
    throw new ConfigError(
      `${path} is not a safetensors file: a header of ${length} bytes; the limit is ${MAX_HEADER_BYTES}`,
    )
  const dataStart = LENGTH_BYTES + Number(length)
  if (dataStart > file.size)
    throw new ConfigError(`${path} is truncated: its header ends at byte ${dataStart}, the file has ${file.size}`)
  return parseHeader(file.bytes(LENGTH_BYTES, Number(length)), file.size - dataStart, path).map((entry) => ({
    name: entry.name,
    dtype: DTYPES[entry.dtype] ?? null,
    typeName: entry.dtype,
    shape: entry.shape,
    path,
    file,
    offset: dataStart + entry.begin,
    bytes: entry.end - entry.begin,
  }))
}
