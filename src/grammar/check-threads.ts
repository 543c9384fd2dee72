/** Threads that find out whether grammars can be used, each for one at a time and within its time. */
import { GrammarError } from "./grammar-error.ts"
import type { GrammarSpec } from "../core/grammar-spec.ts"
import type { FromGrammarThread, GrammarThreadStart, ToGrammarThread } from "./protocol.ts"
import type { GrammarSource } from "./schema-grammar.ts"

/** A slow grammar leaves a thread for the others. */
const MAX_THREADS = 2

interface Job {
  readonly spec: GrammarSpec
  readonly resolve: (source: GrammarSource) => void
  readonly reject: (error: Error) => void
}

interface CheckThread {
  readonly worker: Worker
  job: Job | null
  deadline: Timer | null
}

export class CheckThreads {
  readonly #start: GrammarThreadStart
  readonly #startWorker: () => Worker
  readonly #threads = new Set<CheckThread>()
  readonly #waiting: Job[] = []

  constructor(start: GrammarThreadStart, startWorker: () => Worker) {
    this.#start = start
    this.#startWorker = startWorker
  }

  /** How xgrammar has the grammar. Errors: `GrammarError`, also for one that takes too long or ends its thread. */
  check(spec: GrammarSpec): Promise<GrammarSource> {
    const { promise, resolve, reject } = Promise.withResolvers<GrammarSource>()
    this.#waiting.push({ spec, resolve, reject })
    this.#dispatch()
    return promise
  }

  stop(): void {
    for (const thread of this.#threads) this.#end(thread, "the server stops")
    for (const job of this.#waiting.splice(0)) job.reject(new Error("the server stops"))
  }

  #dispatch(): void {
    while (this.#waiting.length > 0) {
      const thread = [...this.#threads].find(({ job }) => job === null) ?? this.#another()
      if (thread === null) return
      this.#give(thread, this.#waiting.shift()!)
    }
  }

  #another(): CheckThread | null {
    if (this.#threads.size >= MAX_THREADS) return null
    const worker = this.#startWorker()
    const thread: CheckThread = { worker, job: null, deadline: null }
    worker.onmessage = ({ data }: MessageEvent<FromGrammarThread>) => this.#receive(thread, data)
    worker.onerror = ({ message }) => this.#end(thread, `the compiler ended: ${message}`)
    worker.postMessage(this.#start satisfies ToGrammarThread)
    this.#threads.add(thread)
    return thread
  }

  #give(thread: CheckThread, job: Job): void {
    const { compileSeconds } = this.#start.limits
    thread.job = job
    thread.deadline = setTimeout(
      () => this.#end(thread, `it takes longer than ${compileSeconds} s to compile`), compileSeconds * 1000,
    )
    thread.worker.postMessage({ type: "check", jobId: 0, spec: job.spec } satisfies ToGrammarThread)
  }

  #receive(thread: CheckThread, message: FromGrammarThread): void {
    if (message.type === "died") return this.#end(thread, `the compiler ended: ${message.words}`)
    const { job } = thread
    if (message.type !== "checked" || job === null) return
    clearTimeout(thread.deadline!)
    thread.job = null
    const { outcome } = message
    if (outcome.isOk) job.resolve(outcome.value)
    else job.reject(new GrammarError(outcome.words))
    this.#dispatch()
  }

  /** Its job is refused; the next one gets a new thread. */
  #end(thread: CheckThread, words: string): void {
    if (!this.#threads.delete(thread)) return
    if (thread.deadline !== null) clearTimeout(thread.deadline)
    thread.worker.terminate()
    thread.job?.reject(new GrammarError(`the grammar cannot be used: ${words}`))
    this.#dispatch()
  }
}
