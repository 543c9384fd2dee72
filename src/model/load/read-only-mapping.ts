import { statSync } from "node:fs"
import { ConfigError } from "../../base/errors.ts"
import type { MapFile } from "./checkpoint.ts"

// A mapping begins at a whole page; the largest pages in use (on Arm) have this many bytes.
const PAGE_BYTES = 65_536

/** Maps a file for reading its header only, without a kernel library: addresses are 0, so tensors cannot be used. */
export const readOnlyMapping: MapFile = (path) => {
  const stat = statSync(path, { throwIfNoEntry: false })
  if (stat === undefined) throw new ConfigError(`${path} does not exist`)
  const { size } = stat
  // Views are mapped one by one: none may have more than 4 GiB, which whole files do.
  const bytes = (offset = 0, count = size - offset): Uint8Array => mapRange(path, offset, count)
  return { address: 0, size, bytes, release: () => {}, unmap: () => {} }
}

function mapRange(path: string, offset: number, count: number): Uint8Array {
  if (count === 0) return new Uint8Array()
  const start = offset - (offset % PAGE_BYTES)
  const options: Bun.MMapOptions & { offset: number; size: number } = {
    shared: false, offset: start, size: offset - start + count,
  }
  try {
    return Bun.mmap(path, options).subarray(offset - start)
  } catch (error) {
    throw new ConfigError(`cannot read ${path}: ${(error as Error).message}`)
  }
}
