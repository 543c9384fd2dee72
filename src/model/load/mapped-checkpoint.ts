import { assert } from "../../base/assert.ts"
import { ConfigError } from "../../base/errors.ts"
import type { Checkpoint, CheckpointTensor, FileMapping } from "./checkpoint.ts"
import type { DType } from "./dtype.ts"

/** Where a tensor lies in a mapped file. The reader has checked that `[offset, offset + bytes)` is inside the file. */
export interface TensorEntry {
  readonly name: string
  /** Null for a type that no kernel reads: an error once somebody asks for the tensor. */
  readonly dtype: DType | null
  /** The type as the file calls it. */
  readonly typeName: string
  readonly shape: readonly number[]
  readonly path: string
  readonly file: FileMapping
  readonly offset: number
  readonly bytes: number
}

/** The tensors of one or more mapped files. */
export class MappedCheckpoint implements Checkpoint {
  readonly totalBytes: number
  readonly #entries = new Map<string, TensorEntry>()
  readonly #files: readonly FileMapping[]
  #isOpen = true

  /** Errors: `ConfigError` when two tensors have the same name. */
  constructor(files: readonly FileMapping[], entries: Iterable<TensorEntry>) {
    this.#files = files
    let totalBytes = 0
    for (const entry of entries) {
      const twin = this.#entries.get(entry.name)
      if (twin !== undefined)
        throw new ConfigError(`tensor ${entry.name} is stored twice: ${twin.path} and ${entry.path}`)
      this.#entries.set(entry.name, entry)
      totalBytes += entry.bytes
    }
    this.totalBytes = totalBytes
  }

  names(): readonly string[] {
    return [...this.#entries.keys()]
  }

  get(name: string): CheckpointTensor | null {
    assert(this.#isOpen, "the checkpoint is closed")
    const entry = this.#entries.get(name)
    if (entry === undefined) return null
    const { dtype, typeName, shape, path, file, offset, bytes } = entry
    if (dtype === null) throw new ConfigError(`${path}: tensor ${name} has type ${typeName}, which is not supported`)
    const release = (): void => {
      if (this.#isOpen && bytes > 0) file.release(offset, bytes)
    }
    return { name, dtype, shape, address: file.address + offset, bytes, release }
  }

  close(): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    for (const file of this.#files) file.unmap()
  }
}

/** Runs `read` over freshly mapped files and unmaps them all when it throws. */
export function withMappings<T>(read: (map: (mapping: FileMapping) => FileMapping) => T): T {
  const mapped: FileMapping[] = []
  const keep = (mapping: FileMapping): FileMapping => {
    mapped.push(mapping)
    return mapping
  }
  try {
    return read(keep)
  } catch (error) {
    for (const mapping of mapped) mapping.unmap()
    throw error
  }
}
