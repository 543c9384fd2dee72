/** A grammar thread's own end of the line: what it does with each message. */
import { XGrammar, type CompiledGrammar } from "xgrammar-wasm"
import { present } from "../base/assert.ts"
import { GrammarStore } from "./grammar-store.ts"
import { checkSize, type GrammarLimits } from "./limits.ts"
import { Matchers } from "./matchers.ts"
import type {
  FromGrammarThread, FromMatcher, GrammarThreadStart, Outcome, ToGrammarThread, ToMatcher,
} from "./protocol.ts"
import { SharedMasks } from "./shared-masks.ts"
import { sourceOf, wordsOf } from "./source.ts"
import { nestingByToken } from "./vocabulary.ts"

/** Masks are made ahead for so long at a time: a step's own come in between. */
const WARM_MILLISECONDS = 1

interface Warming {
  readonly grammarId: number
  nextRule: number
}

export class GrammarThread {
  readonly #post: (message: FromGrammarThread) => void
  #limits: GrammarLimits | null = null
  #store: GrammarStore | null = null
  #nesting: Int16Array | null = null
  readonly #warming: Warming[] = []
  #isWarming = false

  constructor(post: (message: FromGrammarThread) => void) {
    this.#post = post
  }

  /** Errors that are not a grammar's own go on: the thread has to end. */
  async receive(message: ToGrammarThread): Promise<void> {
    switch (message.type) {
      case "start": return this.#start(message)
      case "check": {
        const outcome = this.#attempt(() => {
          checkSize(message.spec, present(this.#limits, "limits"))
          const source = sourceOf(message.spec)
          this.#theStore.compile(source)[Symbol.dispose]()
          return source
        })
        return this.#post({ type: "checked", jobId: message.jobId, outcome })
      }
      case "compile": {
        const { grammarId } = message
        const outcome = this.#attempt(() => {
          this.#theStore.add(grammarId, this.#theStore.compile(message.source))
          return null
        })
        this.#post({ type: "compiled", grammarId, outcome })
        if (outcome.isOk) this.#warm(grammarId)
        return this.#evict()
      }
      case "retain": {
        const isThere = this.#theStore.retain(message.grammarId)
        const outcome = isThere ? { isOk: true, value: null } as const : { isOk: false, words: "is gone" } as const
        return this.#post({ type: "compiled", grammarId: message.grammarId, outcome })
      }
      case "release":
        this.#theStore.release(message.grammarId)
        return this.#evict()
      case "connect":
        return this.#connect(message.port, new SharedMasks(message.masks, message.masks.buffer))
    }
  }

  /** Says that the thread is lost: its module may be in any state. */
  die(error: unknown): void {
    this.#post({ type: "died", words: error instanceof Error ? error.message : String(error) })
  }

  get #theStore(): GrammarStore {
    return present(this.#store, "a message before the start")
  }

  async #start({ wasm, vocabulary, limits }: GrammarThreadStart): Promise<void> {
    this.#limits = limits
    const xgrammar = await XGrammar.instantiate(await WebAssembly.compile(wasm as Uint8Array<ArrayBuffer>))
    this.#store = new GrammarStore(xgrammar, vocabulary, limits.cacheBytes)
    this.#nesting = nestingByToken(vocabulary)
  }

  #attempt<T>(make: () => T): Outcome<T> {
    try {
      return { isOk: true, value: make() }
    } catch (error) {
      const words = wordsOf(error)
      if (words === null) throw error
      return { isOk: false, words }
    }
  }

  #evict(): void {
    const grammarIds = this.#theStore.evict()
    if (grammarIds.length > 0) this.#post({ type: "evicted", grammarIds })
  }

  #connect(port: MessagePort, masks: SharedMasks): void {
    const post = (message: FromMatcher) => port.postMessage(message)
    const fail = (requestId: string, words: string) => post({ type: "failed", requestId, words })
    const matchers = new Matchers(this.#theStore, present(this.#nesting, "nesting"), fail)
    port.onmessage = ({ data }) => {
      try {
        receive(data as ToMatcher)
      } catch (error) {
        this.die(error)
      }
    }
    const receive = (data: ToMatcher): void => {
      switch (data.type) {
        case "start": return matchers.start(data.requestId, data.grammarId)
        case "step": return matchers.step(data, masks)
        case "rollback": return matchers.rollback(data.requestId, data.count)
        case "finish": return matchers.finish(data.requestId)
        case "jumpForward":
          return post({ type: "forced", requestId: data.requestId, text: matchers.forcedText(data.requestId) })
      }
    }
  }

  /** Makes the grammar's masks, a little at a time. */
  #warm(grammarId: number): void {
    this.#warming.push({ grammarId, nextRule: 0 })
    if (this.#isWarming) return
    this.#isWarming = true
    setImmediate(() => this.#warmSafely())
  }

  #warmSafely(): void {
    try {
      this.#warmOn()
    } catch (error) {
      this.die(error)
    }
  }

  #warmOn(): void {
    const end = performance.now() + WARM_MILLISECONDS
    while (performance.now() < end) {
      const [first] = this.#warming
      if (first === undefined) {
        this.#isWarming = false
        return
      }
      if (!warmNext(first, this.#theStore.get(first.grammarId))) this.#warming.shift()
    }
    setImmediate(() => this.#warmSafely())
  }
}

/** False: there is nothing left to make. */
function warmNext(warming: Warming, grammar: CompiledGrammar | null): boolean {
  if (grammar === null || warming.nextRule >= grammar.ruleCount) return false
  grammar.warm(warming.nextRule++)
  return true
}
