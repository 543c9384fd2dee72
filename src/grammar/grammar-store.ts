/** Compiled grammars of one thread, kept within a number of bytes; and the compilers that make them. */
import { XGrammar, type CompiledGrammar, type GrammarCompiler } from "xgrammar-wasm"
import { assert, present } from "../base/assert.ts"
import type { GrammarSource } from "./schema-grammar.ts"
import { specialsIn, withoutSpecials, type GrammarVocabulary } from "./vocabulary.ts"

/** Vocabularies with other special tokens in them, for structural tags. The one without any is always there. */
const MAX_VARIANTS = 4
/** Of the limit, what compilers may keep of rules that several grammars have. */
const RULE_CACHE_SHARE = 0.25

interface Kept {
  readonly grammar: CompiledGrammar
  /** Requests that have it or are about to. */
  users: number
  /** As they were when it was last looked at: masks come with use. */
  bytes: number
}

export class GrammarStore {
  readonly #xgrammar: XGrammar
  readonly #vocabulary: GrammarVocabulary
  readonly #cacheBytes: number
  /** Least recently used first. */
  readonly #compilers = new Map<string, GrammarCompiler>()
  /** Least recently used first. */
  readonly #grammars = new Map<number, Kept>()
  #bytes = 0

  constructor(xgrammar: XGrammar, vocabulary: GrammarVocabulary, cacheBytes: number) {
    this.#xgrammar = xgrammar
    this.#vocabulary = vocabulary
    this.#cacheBytes = cacheBytes
  }

  get memoryBytes(): number {
    return this.#xgrammar.memoryBytes
  }

  /** A grammar whose masks are made as they are needed. Errors: `XGrammarError`. */
  compile({ kind, text, marks }: GrammarSource): CompiledGrammar {
    return this.#compilerFor(specialsIn(this.#vocabulary, marks)).compile(kind, text)
  }

  /** Enters a grammar with one user. */
  add(id: number, grammar: CompiledGrammar): void {
    assert(!this.#grammars.has(id), () => `grammar ${id} is here already`)
    const kept = { grammar, users: 1, bytes: 0 }
    this.#grammars.set(id, kept)
    this.#weigh(kept)
  }

  /** False: there is no such grammar, or no longer. */
  retain(id: number): boolean {
    const kept = this.#grammars.get(id)
    if (kept === undefined) return false
    kept.users++
    this.#grammars.delete(id)
    this.#grammars.set(id, kept)
    return true
  }

  get(id: number): CompiledGrammar | null {
    return this.#grammars.get(id)?.grammar ?? null
  }

  release(id: number): void {
    const kept = present(this.#grammars.get(id), `grammar ${id}`)
    assert(kept.users > 0, () => `grammar ${id} is released too often`)
    kept.users--
    this.#weigh(kept)
  }

  #weigh(kept: Kept): void {
    this.#bytes -= kept.bytes
    kept.bytes = kept.grammar.bytes
    this.#bytes += kept.bytes
  }

  /** Drops what has no user, least recently used first, until the rest fits. Returns the ids that are gone. */
  evict(): number[] {
    const gone: number[] = []
    for (const [id, { grammar, users, bytes }] of this.#grammars) {
      if (this.#bytes <= this.#cacheBytes * (1 - RULE_CACHE_SHARE)) break
      if (users > 0) continue
      this.#bytes -= bytes
      grammar[Symbol.dispose]()
      this.#grammars.delete(id)
      gone.push(id)
    }
    return gone
  }

  #compilerFor(kept: readonly number[]): GrammarCompiler {
    const key = kept.join()
    const known = this.#compilers.get(key)
    if (known !== undefined) {
      this.#compilers.delete(key)
      this.#compilers.set(key, known)
      return known
    }
    if (this.#compilers.size >= MAX_VARIANTS) {
      const oldest = [...this.#compilers.keys()].find((each) => each !== "")!
      this.#compilers.get(oldest)![Symbol.dispose]()
      this.#compilers.delete(oldest)
    }
    const { vocabSize, stopTokenIds } = this.#vocabulary
    using tokenizer = this.#xgrammar.tokenizer({ ...withoutSpecials(this.#vocabulary, kept), vocabSize, stopTokenIds })
    const cacheBytes = this.#cacheBytes * RULE_CACHE_SHARE / MAX_VARIANTS
    const compiler = tokenizer.compiler({ cacheBytes, isLazy: true })
    this.#compilers.set(key, compiler)
    return compiler
  }
}
