import { toArrayBuffer, type Pointer } from "bun:ffi"
import { assert } from "../src/base/assert.ts"
import { ConfigError } from "../src/base/errors.ts"
import { STATUS } from "./abi.ts"
import { Args } from "./args.ts"
import type { KernelLibrary } from "./library.ts"

/** A file mapped read-only. `bytes()` views it without copying; the view dies with `unmap`. */
export class MappedFile {
  readonly path: string
  readonly address: number
  readonly size: number
  readonly #library: KernelLibrary

  /** Errors: `ConfigError` with the system's words. */
  static open(library: KernelLibrary, path: string): MappedFile {
    const args = new Args("fileMap", { path: Number(library.cString(path)) })
    if (library.symbols.bz_file_map(args.address) !== STATUS.ok) throw new ConfigError(library.lastError())
    return new MappedFile(library, path, args.get("out_data"), args.get("out_bytes"))
  }

  private constructor(library: KernelLibrary, path: string, address: number, size: number) {
    this.#library = library
    this.path = path
    this.address = address
    this.size = size
  }

  /**
   * A view of `[offset, offset + bytes)`, the whole file when absent. One view holds 4 GiB at most (the runtime's
   * limit).
   */
  bytes(offset = 0, bytes = this.size - offset): Uint8Array {
    assert(
      offset >= 0 && bytes >= 0 && offset + bytes <= this.size,
      () => `[${offset}, +${bytes}) of ${this.size} bytes`,
    )
    if (bytes === 0) return new Uint8Array()
    return new Uint8Array(toArrayBuffer((this.address + offset) as Pointer, 0, bytes))
  }

  /**
   * Gives the pages of `[offset, offset + bytes)`, which have been read, back to the system. Errors: `ConfigError`
   * where the file has become shorter meanwhile.
   */
  release(offset: number, bytes: number): void {
    const args = new Args("fileRange", { data: this.address + offset, bytes })
    const status = this.#library.symbols.bz_file_release(args.address)
    if (status === STATUS.io) throw new ConfigError(`${this.path}: ${this.#library.lastError()}`)
    this.#library.check(status, "bz_file_release")
  }

  unmap(): void {
    const args = new Args("fileRange", { data: this.address, bytes: this.size })
    this.#library.check(this.#library.symbols.bz_file_unmap(args.address), "bz_file_unmap")
  }
}
