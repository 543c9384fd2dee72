/**
 * Grammars for the rest of the program: checked on threads that may be ended, compiled on the thread that follows
 * texts.
 * The threads start with the first grammar.
 */
import { present } from "../base/assert.ts"
import type { GrammarSpec } from "../core/grammar-spec.ts"
import { CheckThreads } from "./check-threads.ts"
import { GrammarError } from "./grammar-error.ts"
import type { FromGrammarThread, GrammarThreadStart, MaskMemory, Outcome, ToGrammarThread } from "./protocol.ts"
import type { GrammarSource } from "./schema-grammar.ts"

export interface GrammarThreadsOptions {
  readonly start: GrammarThreadStart
  readonly startWorker: () => Worker
  /** The thread that follows texts has ended: what it followed has failed. `connect` gives the next one. */
  readonly onLost: (words: string) => void
}

/** One use of a compiled grammar: for `start` of the protocol, or to be released. */
export interface GrammarUse {
  readonly grammarId: number
  release(): void
}

interface Known {
  readonly grammarId: number
  readonly ready: Promise<void>
}

const GONE = "the grammar is no longer there"

export class GrammarThreads {
  readonly #options: GrammarThreadsOptions
  readonly #checks: CheckThreads
  readonly #known = new Map<string, Known>()
  /** Answers that are due, by grammar, in order. */
  readonly #due = new Map<number, ((outcome: Outcome<null>) => void)[]>()
  #matchThread: Worker | null = null
  #nextGrammarId = 1

  constructor(options: GrammarThreadsOptions) {
    this.#options = options
    this.#checks = new CheckThreads(options.start, options.startWorker)
  }

  /** Errors: `GrammarError` for one that cannot be used. */
  async compile(spec: GrammarSpec): Promise<GrammarUse> {
    const key = JSON.stringify(spec)
    const known = this.#known.get(key)
    if (known !== undefined) {
      await known.ready
      const outcome = await this.#ask(known.grammarId, { type: "retain", grammarId: known.grammarId })
      if (outcome.isOk) return this.#use(known.grammarId)
      if (this.#known.get(key) === known) this.#known.delete(key)
      return this.compile(spec)
    }
    const grammarId = this.#nextGrammarId++
    const ready = this.#make(grammarId, spec)
    this.#known.set(key, { grammarId, ready })
    try {
      await ready
    } catch (error) {
      this.#known.delete(key)
      throw error
    }
    return this.#use(grammarId)
  }

  /** A port for the thread that runs steps, to which its messages of the protocol go, and the memory for its masks. */
  connect(masks: MaskMemory): MessagePort {
    const { port1, port2 } = new MessageChannel()
    this.#thread.postMessage({ type: "connect", port: port2, masks } satisfies ToGrammarThread, [port2])
    return port1
  }

  stop(): void {
    this.#checks.stop()
    this.#lose("the server stops")
  }

  async #make(grammarId: number, spec: GrammarSpec): Promise<void> {
    const source: GrammarSource = await this.#checks.check(spec)
    const outcome = await this.#ask(grammarId, { type: "compile", grammarId, source })
    if (!outcome.isOk) throw new GrammarError(outcome.words)
  }

  #use(grammarId: number): GrammarUse {
    const thread = this.#thread
    return {
      grammarId,
      release: () => {
        if (thread === this.#matchThread) thread.postMessage({ type: "release", grammarId } satisfies ToGrammarThread)
      },
    }
  }

  #ask(grammarId: number, message: ToGrammarThread): Promise<Outcome<null>> {
    const { promise, resolve } = Promise.withResolvers<Outcome<null>>()
    this.#due.set(grammarId, [...(this.#due.get(grammarId) ?? []), resolve])
    this.#thread.postMessage(message)
    return promise
  }

  get #thread(): Worker {
    if (this.#matchThread !== null) return this.#matchThread
    const worker = this.#options.startWorker()
    worker.onmessage = ({ data }: MessageEvent<FromGrammarThread>) => this.#receive(data)
    worker.onerror = ({ message }) => this.#matchThread === worker && this.#lose(message)
    worker.postMessage(this.#options.start satisfies ToGrammarThread)
    this.#matchThread = worker
    return worker
  }

  #receive(message: FromGrammarThread): void {
    switch (message.type) {
      case "compiled": {
        const waiting = present(this.#due.get(message.grammarId), "an answer that nobody waits for")
        waiting.shift()!(message.outcome)
        if (waiting.length === 0) this.#due.delete(message.grammarId)
        return
      }
      case "evicted":
        for (const [key, { grammarId }] of this.#known) {
          if (message.grammarIds.includes(grammarId)) this.#known.delete(key)
        }
        return
      case "died":
        return this.#lose(message.words)
    }
  }

  #lose(words: string): void {
    const thread = this.#matchThread
    if (thread === null) return
    this.#matchThread = null
    thread.terminate()
    this.#known.clear()
    const due = [...this.#due.values()].flat()
    this.#due.clear()
    for (const settle of due) settle({ isOk: false, words: GONE })
    this.#options.onLost(words)
  }
}
