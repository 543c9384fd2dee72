import { statSync } from "node:fs"
import { ConfigError } from "../../base/errors.ts"
import type { MapFile } from "./checkpoint.ts"

/** Maps a file for reading its header only, without a kernel library: addresses are 0, so tensors cannot be used. */
export const readOnlyMapping: MapFile = (path) => {
  const bytes = map(path)
  return { address: 0, size: bytes.length, bytes: () => bytes, release: () => {}, unmap: () => {} }
}

function map(path: string): Uint8Array {
  try {
    return statSync(path).size === 0 ? new Uint8Array() : Bun.mmap(path, { shared: false })
  } catch (error) {
    throw new ConfigError(`cannot read ${path}: ${(error as Error).message}`)
  }
}
