import { toArrayBuffer, type Pointer } from "bun:ffi"
import { assert } from "../src/base/assert.ts"
import { ConfigError } from "../src/base/errors.ts"
import { DTYPE, MEM_KIND, STATUS } from "./abi.ts"
import { Args } from "./args.ts"
import type { KernelLibrary } from "./library.ts"
import type { OpName } from "./structs.ts"
import { NativeWeight, weightArgs, type WeightPart, type WeightShape } from "./weight.ts"

// The library wrote a pointer over the struct's first eight bytes.
function pointerAt(out: Args<"memAlloc">): number {
  return Number(new DataView(toArrayBuffer(out.address, 0, 8)).getBigUint64(0, true))
}

/** A queue of ops on one device. One thread drives it. */
export class NativeStream {
  readonly library: KernelLibrary
  readonly address: Pointer
  readonly #out = new Args("memAlloc")
  readonly #copyArgs = new Args("copy")
  readonly #memoryArgs = new Args("streamMemory")
  readonly #touchArgs = new Args("memTouch")
  readonly #readArgs = new Args("measureRead")
  readonly #productsArgs = new Args("measureProducts")

  private constructor(library: KernelLibrary, address: number) {
    this.library = library
    this.address = address as Pointer
  }

  /** Errors: `ConfigError` for an isa this processor lacks. */
  static create(
    library: KernelLibrary, options: { numThreads?: number; isa?: string | null; spinUs?: number } = {},
  ): NativeStream {
    const isa = options.isa ? library.cString(options.isa) : 0
    const args = new Args("stream", {
      num_threads: options.numThreads ?? 0, isa: Number(isa), spin_us: options.spinUs ?? 0,
    })
    const out = new Args("memAlloc")
    const status = library.symbols.bz_stream_create(args.address, out.address)
    if (status === STATUS.invalid) throw new ConfigError(library.lastError())
    library.check(status, "bz_stream_create")
    return new NativeStream(library, pointerAt(out))
  }

  run<N extends OpName>(op: N, args: Args<N>): void {
    const call = this.library.symbols[op] as (stream: Pointer, args: Pointer) => number
    const status = call(this.address, args.address)
    if (status !== STATUS.ok) this.library.check(status, op)
  }

  /** Errors: `NativeError`, the first since the last synchronize. */
  synchronize(): void {
    this.library.check(this.library.symbols.bz_stream_synchronize(this.address), "bz_stream_synchronize")
  }

  createEvent(): NativeEvent {
    const status = this.library.symbols.bz_event_create(this.address, this.#out.address)
    this.library.check(status, "bz_event_create")
    return new NativeEvent(this, pointerAt(this.#out))
  }

  /** Zeroed memory. Errors: `NativeError`. */
  alloc(bytes: number, kind: keyof typeof MEM_KIND): number {
    const args = new Args("memAlloc", { kind: MEM_KIND[kind], bytes })
    this.library.check(this.library.symbols.bz_mem_alloc(this.address, args.address, this.#out.address), "bz_mem_alloc")
    return pointerAt(this.#out)
  }

  free(address: number): void {
    this.library.symbols.bz_mem_free(this.address, address as Pointer)
  }

  /** Within device memory. */
  copy(dst: number, src: number, bytes: number): void {
    this.#copyArgs.set({ bytes, dst, src })
    this.library.check(this.library.symbols.bz_mem_copy(this.address, this.#copyArgs.address), "bz_mem_copy")
  }

  /** From staging to device memory. */
  upload(dst: number, src: number, bytes: number): void {
    this.#copyArgs.set({ bytes, dst, src })
    this.library.check(this.library.symbols.bz_upload(this.address, this.#copyArgs.address), "bz_upload")
  }

  /** From device to staging memory. */
  download(dst: number, src: number, bytes: number): void {
    this.#copyArgs.set({ bytes, dst, src })
    this.library.check(this.library.symbols.bz_download(this.address, this.#copyArgs.address), "bz_download")
  }

  /** Bytes held now. */
  memory(): { device: number; staging: number; weights: number; scratch: number } {
    const args = this.#memoryArgs
    this.library.check(this.library.symbols.bz_stream_memory(this.address, args.address), "bz_stream_memory")
    return {
      device: args.get("out_device_bytes"), staging: args.get("out_staging_bytes"),
      weights: args.get("out_weight_bytes"), scratch: args.get("out_scratch_bytes"),
    }
  }

  /** From here to `planEnd`, ops are checked and not run. */
  planBegin(): void {
    this.library.check(this.library.symbols.bz_plan_begin(this.address), "bz_plan_begin")
  }

  /** Bytes of scratch memory that the most demanding op since `planBegin` takes. */
  planEnd(): number {
    const args = new Args("plan")
    this.library.check(this.library.symbols.bz_plan_end(this.address, args.address), "bz_plan_end")
    return args.get("out_scratch_bytes")
  }

  reserveScratch(bytes: number): void {
    this.library.check(this.library.symbols.bz_stream_reserve(this.address, bytes), "bz_stream_reserve")
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
    return this.#makeWeight("bz_weight_create", shape, parts)
  }

  /** A weight without values: ops that take it can be planned. The tensors' addresses are not read. */
  planWeight(shape: WeightShape, parts: readonly WeightPart[]): NativeWeight {
    return this.#makeWeight("bz_weight_plan", shape, parts)
  }

  #makeWeight(
    make: "bz_weight_create" | "bz_weight_plan", shape: WeightShape, parts: readonly WeightPart[],
  ): NativeWeight {
    const { args, keep } = weightArgs(shape, parts)
    const status = this.library.symbols[make](this.address, args.address, this.#out.address)
    assert(keep.byteLength > 0) // keeps the parts alive until the call is over
    this.library.check(status, make)
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

/** A place in a stream. */
export class NativeEvent {
  readonly address: number
  readonly #stream: NativeStream
  readonly #done = new Args("memAlloc")

  constructor(stream: NativeStream, address: number) {
    this.#stream = stream
    this.address = address
  }

  record(): void {
    const { library, address } = this.#stream
    library.check(library.symbols.bz_event_record(address, this.address as Pointer), "bz_event_record")
  }

  /** Waits until the stream has passed it. Errors: `NativeError`, the first of what came before it. */
  synchronize(): void {
    const { library } = this.#stream
    const status = library.symbols.bz_event_synchronize(this.address as Pointer)
    if (status !== STATUS.ok) library.check(status, "bz_event_synchronize")
  }

  /** Whether `synchronize` would not wait. */
  isDone(): boolean {
    const { library } = this.#stream
    library.check(library.symbols.bz_event_query(this.address as Pointer, this.#done.address), "bz_event_query")
    return new DataView(toArrayBuffer(this.#done.address, 0, 8)).getUint32(0, true) === 1
  }

  destroy(): void {
    this.#stream.library.symbols.bz_event_destroy(this.address as Pointer)
  }
}

