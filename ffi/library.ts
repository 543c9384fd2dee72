import { dlopen, ptr, type Library, type Pointer } from "bun:ffi"
import { assert, present } from "../src/base/assert.ts"
import { ConfigError, NativeError } from "../src/base/errors.ts"
import { ABI_VERSION, DTYPE, ELEMENT_BYTES, STATUS, type DType, type ElementType } from "./abi.ts"
import { Args } from "./args.ts"
import { SYMBOLS } from "./symbols.ts"

const OUT_BYTES = 64 * 1024

/** What differs from library to library; see bz_traits_args. */
export interface LibraryTraits {
  readonly activationType: ElementType
  readonly isAsync: boolean
  readonly alignment: number
  /** 0: ops are best given all tokens at once. */
  readonly sliceTokens: number
  readonly logitRows: number
  readonly maxGraphs: number
  readonly captureRows: number
  readonly kvTypes: readonly ElementType[]
  readonly blockMultiple: number
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

  traits(): LibraryTraits {
    const args = new Args("traits")
    this.check(this.symbols.bz_library_traits(args.address), "bz_library_traits")
    const types = Object.keys(ELEMENT_BYTES) as ElementType[]
    return {
      activationType: present(types.find((type) => DTYPE[type] === args.get("out_activation_dtype")), "activations"),
      isAsync: args.get("out_is_async") === 1, alignment: args.get("out_alignment"),
      sliceTokens: args.get("out_slice_tokens"), logitRows: args.get("out_logit_rows"),
      maxGraphs: args.get("out_max_graphs"), captureRows: args.get("out_capture_rows"),
      kvTypes: types.filter((type) => (args.get("out_kv_dtypes") & (1 << DTYPE[type])) !== 0),
      blockMultiple: args.get("out_block_multiple"),
    }
  }

  info(): Record<string, unknown> {
    return JSON.parse(this.#text(this.symbols.bz_backend_info)) as Record<string, unknown>
  }

  layout(): string {
    return this.#text(this.symbols.bz_abi_layout)
  }

  supports(op: string, dtype: DType): boolean {
    return this.symbols.bz_op_supported(this.cString(op), DTYPE[dtype]) === 1
  }

  lastError(): string {
    return this.#text(this.symbols.bz_last_error)
  }

  check(status: number, what: string): void {
    if (status !== STATUS.ok) throw new NativeError(what, status, this.lastError())
  }

  kvCacheBytes(v: { numKvHeads: number; headDim: number; blockSize: number; numBlocks: number; dtype: DType }): number {
    const args = new Args("kvCache", {
      num_kv_heads: v.numKvHeads, head_dim: v.headDim, block_size: v.blockSize, num_blocks: v.numBlocks,
      kv_dtype: DTYPE[v.dtype],
    })
    this.check(this.symbols.bz_kv_cache_bytes(args.address), "bz_kv_cache_bytes")
    return args.get("out_bytes")
  }

  latentCacheBytes(
    v: { rank: number; ropeDim: number; blockSize: number; numBlocks: number; dtype: DType },
  ): number {
    const args = new Args("latentCache", {
      rank: v.rank, rope_dim: v.ropeDim, block_size: v.blockSize, num_blocks: v.numBlocks, kv_dtype: DTYPE[v.dtype],
    })
    this.check(this.symbols.bz_latent_cache_bytes(args.address), "bz_latent_cache_bytes")
    return args.get("out_bytes")
  }

  #text(read: (buf: Pointer, cap: number) => number): string {
    const bytes = read(this.#outPtr, OUT_BYTES)
    assert(bytes <= OUT_BYTES, () => `text of ${bytes} bytes`)
    return new TextDecoder().decode(this.#out.subarray(0, Math.max(0, bytes - 1)))
  }

  /** Valid until the next call that needs a C string. */
  cString(text: string): Pointer {
    const { written } = new TextEncoder().encodeInto(text, this.#out.subarray(0, OUT_BYTES - 1))
    this.#out[written] = 0
    return this.#outPtr
  }
}
