/**
 * xgrammar, as build/xgrammar/xgrammar.wasm has it: tokenizers, compilers, compiled grammars and matchers. Each is a
 * handle into the module's memory and has to be disposed of; what it needs of the others it keeps alive itself.
 *
 * Everything here runs to its end in the calling thread. `XGrammarError` carries xgrammar's words; the module can be
 * used on. Any other error (the stack of the module or of the thread has overflowed, memory is used up) leaves the
 * module
 * unusable: make a new one.
 */
import { Module, type Exports } from "./module.ts"

export { XGrammarError } from "./module.ts"

/** How a grammar is written. "json" is any JSON, and its text is not read. */
export type GrammarKind = "ebnf" | "lark" | "regex" | "structural_tag" | "json" | "json_schema"
const KINDS: readonly GrammarKind[] = ["ebnf", "lark", "regex", "structural_tag", "json", "json_schema"]

export interface TokenizerOptions {
  /** All tokens' bytes, one after the other; a token of none is one that no grammar admits. */
  readonly bytes: Uint8Array
  /** Where each token begins in `bytes`, and where the last one ends. */
  readonly offsets: Uint32Array
  /** The model's outputs, at least as many as tokens. */
  readonly vocabSize: number
  /** Tokens that end a text; admitted where the grammar may end. */
  readonly stopTokenIds: readonly number[]
}

export interface CompilerOptions {
  /** Limit of what compiled grammars leave behind for later ones with the same rules. */
  readonly cacheBytes: number
  /** Makes the masks of a grammar when they are first needed, instead of with the grammar. */
  readonly isLazy?: boolean
}

/** An instance of the module. */
export class XGrammar {
  readonly #module: Module

  private constructor(module: Module) {
    this.#module = module
  }

  /** A millisecond, once the engine has compiled `wasm`. */
  static async instantiate(wasm: WebAssembly.Module): Promise<XGrammar> {
    return new XGrammar(await Module.instantiate(wasm))
  }

  /** Bytes of the instance's memory, which never shrinks. */
  get memoryBytes(): number {
    return this.#module.memoryBytes
  }

  /** Errors: `XGrammarError`. */
  tokenizer({ bytes, offsets, vocabSize, stopTokenIds }: TokenizerOptions): TokenizerInfo {
    const module = this.#module
    const handle = module.withBytes([bytes, offsets, Int32Array.from(stopTokenIds)], ([text, ends, stops]) =>
      module.exports.xg_tokenizer(text!, ends!, offsets.length - 1, vocabSize, stops!, stopTokenIds.length))
    return new TokenizerInfo(module, module.handle(handle), vocabSize)
  }
}

abstract class Handle {
  protected readonly module: Module
  #address: number

  constructor(module: Module, address: number) {
    this.module = module
    this.#address = address
  }

  protected get address(): number {
    if (this.#address === 0) throw new Error(`${this.constructor.name} is disposed of`)
    return this.#address
  }

  protected abstract drop(exports: Exports, address: number): void

  [Symbol.dispose](): void {
    if (this.#address === 0) return
    this.drop(this.module.exports, this.#address)
    this.#address = 0
  }
}

export class TokenizerInfo extends Handle {
  readonly vocabSize: number

  constructor(module: Module, address: number, vocabSize: number) {
    super(module, address)
    this.vocabSize = vocabSize
  }

  compiler({ cacheBytes, isLazy = false }: CompilerOptions): GrammarCompiler {
    const address = this.module.exports.xg_compiler(this.address, cacheBytes, isLazy ? 1 : 0)
    return new GrammarCompiler(this.module, this.module.handle(address), this.vocabSize)
  }

  protected drop(exports: Exports, address: number): void {
    exports.xg_drop_tokenizer(address)
  }
}

export class GrammarCompiler extends Handle {
  readonly #vocabSize: number

  constructor(module: Module, address: number, vocabSize: number) {
    super(module, address)
    this.#vocabSize = vocabSize
  }

  /** Bytes of the cache. */
  get cacheBytes(): number {
    return this.module.exports.xg_cache_bytes(this.address)
  }

  /** Errors: `XGrammarError` with the reason why the grammar is not one. */
  compile(kind: GrammarKind, text: string): CompiledGrammar {
    const { module } = this
    const compiler = this.address
    const bytes = new TextEncoder().encode(text)
    const address = module.withBytes([bytes], ([start]) =>
      module.exports.xg_compile(compiler, KINDS.indexOf(kind), start!, bytes.length))
    return new CompiledGrammar(module, module.handle(address), this.#vocabSize)
  }

  clearCache(): void {
    this.module.exports.xg_clear_cache(this.address)
  }

  protected drop(exports: Exports, address: number): void {
    exports.xg_drop_compiler(address)
  }
}

export class CompiledGrammar extends Handle {
  readonly #vocabSize: number

  constructor(module: Module, address: number, vocabSize: number) {
    super(module, address)
    this.#vocabSize = vocabSize
  }

  /** Approximate size of the grammar and its masks. */
  get bytes(): number {
    return this.module.exports.xg_grammar_bytes(this.address)
  }

  /** The grammar as xgrammar has it after all rewriting, in EBNF. */
  get text(): string {
    this.module.check(this.module.exports.xg_grammar_text(this.address))
    return this.module.resultText()
  }

  get ruleCount(): number {
    return this.module.check(this.module.exports.xg_rules(this.address))
  }

  /** Makes the masks of one rule of a lazy grammar ahead of their first use. */
  warm(ruleIndex: number): void {
    this.module.check(this.module.exports.xg_warm(this.address, ruleIndex))
  }

  matcher(): GrammarMatcher {
    const address = this.module.exports.xg_matcher(this.address)
    return new GrammarMatcher(this.module, this.module.handle(address), this.#vocabSize)
  }

  protected drop(exports: Exports, address: number): void {
    exports.xg_drop_grammar(address)
  }
}

/** Where one text stands in a grammar. */
export class GrammarMatcher extends Handle {
  readonly #vocabSize: number

  constructor(module: Module, address: number, vocabSize: number) {
    super(module, address)
    this.#vocabSize = vocabSize
  }

  /** False: the grammar does not admit the token here, and nothing has changed. */
  accept(tokenId: number): boolean {
    return this.module.check(this.module.exports.xg_accept(this.address, tokenId)) === 1
  }

  /** As one step of `rollback`. */
  acceptText(text: string): boolean {
    const { module } = this
    const matcher = this.address
    const bytes = new TextEncoder().encode(text)
    return module.check(module.withBytes([bytes], ([start]) =>
      module.exports.xg_accept_text(matcher, start!, bytes.length))) === 1
  }

  /** Takes back the last `count` steps, a stop token among them. Errors: `XGrammarError` if there are fewer. */
  rollback(count: number): void {
    if (count > 0) this.module.check(this.module.exports.xg_rollback(this.address, count))
  }

  /**
   * Writes ceil(vocabSize / 32) words to `out`: bit i % 32 of word i / 32 is 1 where token i may come next. False: all
   * of
   * them are 1. `out` may be shared memory.
   */
  fillMask(out: Uint32Array | Int32Array): boolean {
    const { module } = this
    const words = Math.ceil(this.#vocabSize / 32)
    const address = module.maskBuffer(words)
    const isNeeded = module.check(module.exports.xg_mask(this.address, address, words)) === 1
    out.set(module.words(address, words))
    return isNeeded
  }

  /** The text so far is whole: a stop token may come. */
  get isComplete(): boolean {
    return this.module.check(this.module.exports.xg_state(this.address)) >= 1
  }

  /** A stop token has come: nothing else may. */
  get isTerminated(): boolean {
    return this.module.check(this.module.exports.xg_state(this.address)) === 2
  }

  /** The bytes that have to come next, whatever is sampled; they may end inside a character. */
  jumpForward(): Uint8Array {
    this.module.check(this.module.exports.xg_jump_forward(this.address))
    return this.module.resultBytes()
  }

  fork(): GrammarMatcher {
    const address = this.module.exports.xg_fork(this.address)
    return new GrammarMatcher(this.module, this.module.handle(address), this.#vocabSize)
  }

  protected drop(exports: Exports, address: number): void {
    exports.xg_drop_matcher(address)
  }
}
