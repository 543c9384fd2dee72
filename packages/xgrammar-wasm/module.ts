/** The module's memory and exports (native/grammar/glue.cc), and the few system calls that it makes. */
import { WasiStub } from "./wasi.ts"

/** The grammar, schema or call is at fault; the words are xgrammar's. */
export class XGrammarError extends Error {
  override readonly name = "XGrammarError"
}

/** Addresses are numbers; 0 and negative numbers are failures, with words in xg_result. */
export interface Exports {
  readonly memory: WebAssembly.Memory
  _initialize(): void
  xg_alloc(bytes: number): number
  xg_free(address: number): void
  xg_result(): number
  xg_result_bytes(): number
  xg_tokenizer(
    bytes: number, offsets: number, count: number, vocabSize: number, stopIds: number, stopCount: number,
  ): number
  xg_drop_tokenizer(tokenizer: number): void
  xg_compiler(tokenizer: number, cacheBytes: number, isLazy: number): number
  xg_drop_compiler(compiler: number): void
  xg_cache_bytes(compiler: number): number
  xg_clear_cache(compiler: number): void
  xg_compile(compiler: number, kind: number, text: number, bytes: number): number
  xg_drop_grammar(grammar: number): void
  xg_grammar_bytes(grammar: number): number
  xg_rules(grammar: number): number
  xg_warm(grammar: number, rule: number): number
  xg_grammar_text(grammar: number): number
  xg_matcher(grammar: number): number
  xg_fork(matcher: number): number
  xg_drop_matcher(matcher: number): void
  xg_accept(matcher: number, tokenId: number): number
  xg_accept_text(matcher: number, text: number, bytes: number): number
  xg_rollback(matcher: number, count: number): number
  xg_mask(matcher: number, words: number, wordCount: number): number
  xg_state(matcher: number): number
  xg_jump_forward(matcher: number): number
}

/** How xgrammar begins some of its messages: an expression of its source. */
const FAILED_CHECK = /^Check failed: \(.*?\) is false: /

type Bytes = Uint8Array | Uint32Array | Int32Array

export class Module {
  readonly exports: Exports
  #mask = 0
  #maskWords = 0

  private constructor(exports: Exports) {
    this.exports = exports
  }

  static async instantiate(wasm: WebAssembly.Module): Promise<Module> {
    const wasi = new WasiStub()
    const { exports } = await WebAssembly.instantiate(wasm, { wasi_snapshot_preview1: wasi.imports })
    const known = exports as unknown as Exports
    wasi.memory = known.memory
    known._initialize()
    return new Module(known)
  }

  get memoryBytes(): number {
    return this.exports.memory.buffer.byteLength
  }

  /** Calls `use` with the addresses of copies of `parts`, which live as long as the call. */
  withBytes(parts: readonly Bytes[], use: (addresses: number[]) => number): number {
    const addresses = parts.map((part) => this.#copy(part))
    try {
      return use(addresses)
    } finally {
      for (const address of addresses) this.exports.xg_free(address)
    }
  }

  #copy(part: Bytes): number {
    const address = this.#alloc(part.byteLength)
    const bytes = new Uint8Array(part.buffer, part.byteOffset, part.byteLength)
    new Uint8Array(this.exports.memory.buffer).set(bytes, address)
    return address
  }

  #alloc(bytes: number): number {
    const address = this.exports.xg_alloc(Math.max(1, bytes))
    if (address === 0) throw new Error(`the grammar module has no room for ${bytes} bytes`)
    return address
  }

  /** A buffer of one mask, used again by every call. */
  maskBuffer(words: number): number {
    if (this.#maskWords < words) {
      if (this.#mask !== 0) this.exports.xg_free(this.#mask)
      this.#mask = this.#alloc(words * Uint32Array.BYTES_PER_ELEMENT)
      this.#maskWords = words
    }
    return this.#mask
  }

  /** A view that is good until the module's memory grows. */
  words(address: number, count: number): Uint32Array {
    return new Uint32Array(this.exports.memory.buffer, address, count)
  }

  /** Errors: `XGrammarError` if `address` is 0. */
  handle(address: number): number {
    if (address === 0) throw new XGrammarError(this.resultText())
    return address
  }

  /** Errors: `XGrammarError` if `code` is negative. */
  check(code: number): number {
    if (code < 0) throw new XGrammarError(this.resultText())
    return code
  }

  resultBytes(): Uint8Array {
    const start = this.exports.xg_result()
    return new Uint8Array(this.exports.memory.buffer).slice(start, start + this.exports.xg_result_bytes())
  }

  resultText(): string {
    return new TextDecoder().decode(this.resultBytes()).replace(FAILED_CHECK, "").trim()
  }
}
