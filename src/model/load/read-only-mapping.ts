import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs"
import { ConfigError } from "../../base/errors.ts"
import type { FileMapping, MapFile } from "./checkpoint.ts"

/**
 * Opens a file for reading its header only, without a kernel library: addresses are 0, so tensors cannot be used.
 *
 * Each view is a copy that outlives `unmap`. The file is read, not mapped: the runtime maps files for writing too, and
 * neither a model on a read-only file system nor one of another user allows that.
 */
export const readOnlyMapping: MapFile = (path) => {
  const file = openFile(path)
  const bytes = (offset = 0, count = file.size - offset): Uint8Array => file.read(offset, count)
  return { address: 0, size: file.size, bytes, release: () => {}, unmap: file.close }
}

interface OpenFile {
  readonly size: FileMapping["size"]
  read(offset: number, count: number): Uint8Array
  close(): void
}

function openFile(path: string): OpenFile {
  const attempt = <T>(action: () => T): T => {
    try {
      return action()
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException
      throw new ConfigError(code === "ENOENT" ? `${path} does not exist` : `cannot read ${path}: ${message}`)
    }
  }
  // A pipe of that name would be waited for without O_NONBLOCK; files take no notice of it.
  const descriptor = attempt(() => openSync(path, constants.O_RDONLY | constants.O_NONBLOCK))
  const read = (offset: number, count: number): Uint8Array => {
    const view = new Uint8Array(count)
    for (let done = 0; done < count; ) {
      const got = attempt(() => readSync(descriptor, view, done, count - done, offset + done))
      if (got === 0)
        throw new ConfigError(`${path} ends at byte ${offset + done}: it was cut while it was read`)
      done += got
    }
    return view
  }
  let isOpen = true
  const close = (): void => {
    if (isOpen) closeSync(descriptor)
    isOpen = false
  }
  const stat = fstatSync(descriptor)
  if (!stat.isFile()) {
    close()
    throw new ConfigError(`cannot read ${path}: not a file`)
  }
  return { size: stat.size, read, close }
}
