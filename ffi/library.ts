import { dlopen, ptr, toArrayBuffer, type Library, type Pointer } from "bun:ffi"
import { assert } from "../src/base/assert.ts"
import { ConfigError, NativeError } from "../src/base/errors.ts"
import {
  ABI_VERSION,
  COMPUTE,
  DTYPE,
  MEM_KIND,
  OPS,
  STATUS,
  SYMBOLS,
  type Compute,
  type DType,
  type OpName,
} from "./abi.ts"
import { Args, structArray } from "./args.ts"

const OUT_BYTES = 64 * 1024

export interface WeightPart {
  readonly address: number
  readonly bytes: number
  readonly n: number
  readonly dtype: DType
}

export interface WeightShape {
  readonly n: number
  readonly c: number
  readonly compute: Compute
}

/** A kernel library, opened and version-checked. It moves numbers and knows nothing of what ops mean. */
export class KernelLibrary {
  readonly path: string
  readonly symbols: Library<typeof SYMBOLS>["symbols"]
  // One large buffer for everything the library writes back: its address does not move.
  readonly #out = new Uint8Array(new ArrayBuffer(OUT_BYTES))
  readonly #outPtr = ptr(this.#out)

  private constructor(path: string, library: Library<typeof SYMBOLS>) {
    this.path = path
    this.symbols = library.symbols
  }

  /** Errors: `ConfigError` when the file cannot be loaded here or speaks another ABI version. */
  static open(path: string): KernelLibrary {
    let library: Library<typeof SYMBOLS>
    try {
      library = dlopen(path, SYMBOLS)
    } catch (error) {
      throw new ConfigError(`cannot load the kernel library ${path}: ${(error as Error).message}`)
    }
    const version = library.symbols.bz_abi_version()
    if (version !== ABI_VERSION)
      throw new ConfigError(`${path} speaks ABI version ${version}; this executable needs ${ABI_VERSION}`)
    return new KernelLibrary(path, library)
  }

  score(): number {
    return this.symbols.bz_backend_score()
  }

  info(): Record<string, unknown> {
    return JSON.parse(this.#text(this.symbols.bz_backend_info)) as Record<string, unknown>
  }

  layout(): string {
    return this.#text(this.symbols.bz_abi_layout)
  }

  supports(op: string, dtype: DType): boolean {
    return this.symbols.bz_op_supported(this.#cString(op), DTYPE[dtype]) === 1
  }

  lastError(): string {
    return this.#text(this.symbols.bz_last_error)
  }

  check(status: number, what: string): void {
    if (status !== STATUS.ok) throw new NativeError(what, status, this.lastError())
  }

  /** Errors: `ConfigError` for an isa this processor lacks. */
  createStream(options: { numThreads?: number; isa?: string | null; spinUs?: number } = {}): NativeStream {
    const isa = options.isa ? this.#cString(options.isa) : 0
    const args = new Args("stream", {
      num_threads: options.numThreads ?? 0,
      isa: Number(isa),
      spin_us: options.spinUs ?? 0,
    })
    const out = new Args("memAlloc")
    const status = this.symbols.bz_stream_create(args.address, out.address)
    if (status === STATUS.invalid) throw new ConfigError(this.lastError())
    this.check(status, "bz_stream_create")
    return new NativeStream(this, pointerAt(out))
  }

  mapFile(path: string): MappedFile {
    const args = new Args("fileMap", { path: Number(this.#cString(path)) })
    if (this.symbols.bz_file_map(args.address) !== STATUS.ok) throw new ConfigError(this.lastError())
    return new MappedFile(this, path, args.get("out_data"), args.get("out_bytes"))
  }

  /** Bytes a weight of this shape will hold; the parts' addresses are not read. */
  planWeight(shape: WeightShape, parts: readonly WeightPart[]): number {
    const { args, keep } = weightArgs(shape, parts)
    const out = new Args("weightInfo")
    this.check(this.symbols.bz_weight_plan(args.address, out.address), "bz_weight_plan")
    assert(keep.byteLength > 0)
    return pointerAt(out)
  }

  kvCacheBytes(v: { numKvHeads: number; headDim: number; blockSize: number; numBlocks: number; dtype: DType }): number {
    const args = new Args("kvCache", {
      num_kv_heads: v.numKvHeads, head_dim: v.headDim, block_size: v.blockSize, num_blocks: v.numBlocks,
      kv_dtype: DTYPE[v.dtype],
    })
    this.check(this.symbols.bz_kv_cache_bytes(args.address), "bz_kv_cache_bytes")
    return args.get("out_bytes")
  }

  #text(read: (buf: Pointer, cap: number) => number): string {
    const bytes = read(this.#outPtr, OUT_BYTES)
    assert(bytes <= OUT_BYTES, () => `text of ${bytes} bytes`)
    return new TextDecoder().decode(this.#out.subarray(0, Math.max(0, bytes - 1)))
  }

  // Valid until the next call that needs a C string.
  #cString(text: string): Pointer {
    const { written } = new TextEncoder().encodeInto(text, this.#out.subarray(0, OUT_BYTES - 1))
    this.#out[written] = 0
    return this.#outPtr
  }
}

function weightArgs(shape: WeightShape, parts: readonly WeightPart[]): { args: Args<"weight">; keep: Uint8Array } {
  const keep = structArray("weightPart", parts.map((part) => ({
    data: part.address, bytes: part.bytes, n: part.n, dtype: DTYPE[part.dtype],
  })))
  const args = new Args("weight", {
    num_parts: parts.length, n: shape.n, c: shape.c, compute: COMPUTE[shape.compute], parts: ptr(keep),
  })
  return { args, keep }
}

// The library wrote a pointer (or a uint64) over the struct's first eight bytes.
function pointerAt(out: Args<"memAlloc"> | Args<"weightInfo">): number {
  return Number(new DataView(toArrayBuffer(out.address, 0, 8)).getBigUint64(0, true))
}

/** A queue of ops on one device. One thread drives it. */
export class NativeStream {
  readonly library: KernelLibrary
  readonly address: Pointer
  readonly #out = new Args("memAlloc")
  readonly #copyArgs = new Args("memCopy")
  readonly #touchArgs = new Args("memTouch")
  readonly #readArgs = new Args("measureRead")
  readonly #productsArgs = new Args("measureProducts")

  constructor(library: KernelLibrary, address: number) {
    this.library = library
    this.address = address as Pointer
  }

  run<N extends OpName>(op: N, args: Args<(typeof OPS)[N]>): void {
    const call = this.library.symbols[op] as (stream: Pointer, args: Pointer) => number
    const status = call(this.address, args.address)
    if (status !== STATUS.ok) this.library.check(status, op)
  }

  synchronize(): void {
    this.library.check(this.library.symbols.bz_stream_synchronize(this.address), "bz_stream_synchronize")
  }

  /** Zeroed memory of the device, or of the host when the engine writes or reads it. Errors: `NativeError`. */
  alloc(bytes: number, kind: keyof typeof MEM_KIND): number {
    const args = new Args("memAlloc", { kind: MEM_KIND[kind], bytes })
    this.library.check(this.library.symbols.bz_mem_alloc(this.address, args.address, this.#out.address), "bz_mem_alloc")
    return pointerAt(this.#out)
  }

  free(address: number): void {
    this.library.symbols.bz_mem_free(this.address, address as Pointer)
  }

  copy(dst: number, src: number, bytes: number): void {
    this.#copyArgs.set({ bytes, dst, src })
    this.library.check(this.library.symbols.bz_mem_copy(this.address, this.#copyArgs.address), "bz_mem_copy")
  }

  /** Has the system give pages now that it would give at their first use. */
  touch(address: number, bytes: number): void {
    this.#touchArgs.set({ bytes, data: address })
    this.library.check(this.library.symbols.bz_mem_touch(this.address, this.#touchArgs.address), "bz_mem_touch")
  }

  /** Bytes a second that all threads read, from a buffer of `bytes`. */
  measureRead(bytes: number, milliseconds: number): number {
    this.#readArgs.set({ bytes, milliseconds })
    const status = this.library.symbols.bz_measure_read(this.address, this.#readArgs.address)
    this.library.check(status, "bz_measure_read")
    return (this.#readArgs.get("out_bytes") / this.#readArgs.get("out_nanoseconds")) * 1e9
  }

  /** Multiply-adds a second of all threads; null where the kernels, or the library they stand on, have none. */
  measureProducts(dtype: "F32" | "BF16" | "I8", withLibrary: boolean, milliseconds: number): number | null {
    const args = this.#productsArgs.set({ dtype: DTYPE[dtype], with_library: withLibrary ? 1 : 0, milliseconds })
    const status = this.library.symbols.bz_measure_products(this.address, args.address)
    if (status === STATUS.unsupported) return null
    this.library.check(status, "bz_measure_products")
    return (args.get("out_products") / args.get("out_nanoseconds")) * 1e9
  }

  createWeight(shape: WeightShape, parts: readonly WeightPart[]): NativeWeight {
    const { args, keep } = weightArgs(shape, parts)
    const status = this.library.symbols.bz_weight_create(this.address, args.address, this.#out.address)
    assert(keep.byteLength > 0) // keeps the parts alive until the call is over
    this.library.check(status, "bz_weight_create")
    return new NativeWeight(this.library, pointerAt(this.#out), shape)
  }

  captureBegin(): void {
    this.library.check(this.library.symbols.bz_capture_begin(this.address), "bz_capture_begin")
  }

  captureEnd(): number {
    this.library.check(this.library.symbols.bz_capture_end(this.address, this.#out.address), "bz_capture_end")
    return pointerAt(this.#out)
  }

  launch(graph: number): void {
    const status = this.library.symbols.bz_graph_launch(this.address, graph as Pointer)
    if (status !== STATUS.ok) this.library.check(status, "bz_graph_launch")
  }

  destroyGraph(graph: number): void {
    this.library.symbols.bz_graph_destroy(graph as Pointer)
  }

  destroy(): void {
    this.library.symbols.bz_stream_destroy(this.address)
  }
}

export class NativeWeight {
  readonly address: number
  readonly shape: WeightShape
  readonly #library: KernelLibrary

  constructor(library: KernelLibrary, address: number, shape: WeightShape) {
    this.#library = library
    this.address = address
    this.shape = shape
  }

  info(): { bytes: number; bits: number } {
    const args = new Args("weightInfo")
    const status = this.#library.symbols.bz_weight_info(this.address as Pointer, args.address)
    this.#library.check(status, "bz_weight_info")
    return { bytes: args.get("out_bytes"), bits: args.get("out_bits") }
  }

  destroy(): void {
    this.#library.symbols.bz_weight_destroy(this.address as Pointer)
  }
}

/** A file mapped read-only. `bytes()` views it without copying; the view dies with `unmap`. */
export class MappedFile {
  readonly path: string
  readonly address: number
  readonly size: number
  readonly #library: KernelLibrary

  constructor(library: KernelLibrary, path: string, address: number, size: number) {
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
