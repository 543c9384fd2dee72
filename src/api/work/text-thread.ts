/** Text work on a thread of its own, in the order in which it was asked for. The thread starts with the first job. */
import { assert } from "../../base/assert.ts"
import { RequestError } from "../../base/errors.ts"
import type { RequestErrorOptions } from "../../base/errors.ts"
import { parseExactly } from "../../base/json-number.ts"
import type { JsonLimits } from "../../base/json-scan.ts"
import type { BodyShape } from "../http/body-schemas.ts"
import type { ConversationJob, RenderedConversation } from "../chat/conversation-job.ts"
import type { ParsedBody } from "../http/parse-body.ts"
import type { TextWork, TokenizeOptions } from "./text-work.ts"

/**
 * What stands for the arguments on the way. Numbers of a conversation stay as they are written in JSON alone. A list of
 * numbers takes its time to be cloned, the buffer of a typed one is handed over.
 */
type Sent<K extends keyof TextWork> = K extends "render" ? readonly [json: string]
  : K extends "decode" ? readonly [tokenIds: Float64Array]
  : Parameters<TextWork[K]>
type Jobs = { readonly [K in keyof TextWork]: { readonly name: K; readonly args: Sent<K> } }
export type TextJob = Jobs[keyof TextWork]

/** Messages to the thread, and from it. Plain data: they are cloned on the way. */
export type ToTextThread = { readonly jobId: number; readonly job: TextJob }
export type FromTextThread = { readonly jobId: number; readonly result: JobResult }

export type JobResult =
  | { readonly isOk: true; readonly value: unknown }
  /** `options` where the request is to blame, null where we are. */
  | { readonly isOk: false; readonly message: string; readonly options: RequestErrorOptions | null }

/** What `job` comes to. Never rejects. For the thread's own end of the line. */
export async function runJob(work: TextWork, job: TextJob): Promise<JobResult> {
  try {
    return { isOk: true, value: await resultOf(work, job) }
  } catch (error) {
    if (error instanceof RequestError) return { isOk: false, message: error.message, options: { ...error } }
    const message = error instanceof Error ? (error.stack ?? error.message) : String(error)
    return { isOk: false, message, options: null }
  }
}

async function resultOf(work: TextWork, job: TextJob): Promise<unknown> {
  switch (job.name) {
    case "parse": return work.parse(...job.args)
    case "render": return work.render(parseExactly(job.args[0]) as ConversationJob)
    case "encode": return Int32Array.from(await work.encode(...job.args))
    case "count": return work.count(...job.args)
    case "tokenize": return work.tokenize(...job.args)
    case "decode": return work.decode(numbersOf(job.args[0]))
  }
}

/** Faster than `Array.from`. */
function numbersOf(typed: Int32Array | Float64Array): number[] {
  const numbers = new Array<number>(typed.length)
  for (let i = 0; i < typed.length; i++) numbers[i] = typed[i]!
  return numbers
}

interface PendingJob {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: Error) => void
}

export class TextThread implements TextWork {
  readonly #startWorker: () => Worker
  readonly #onStart: () => void
  readonly #pending = new Map<number, PendingJob>()
  #worker: Worker | null = null
  #nextJobId = 1

  /** `startWorker` is called again after the thread's death; `onStart` behind it. */
  constructor(startWorker: () => Worker, onStart: () => void = () => {}) {
    this.#startWorker = startWorker
    this.#onStart = onStart
  }

  parse(bytes: Uint8Array, shapes: readonly BodyShape[], limits: JsonLimits): Promise<ParsedBody> {
    const whole = bytes.byteLength === bytes.buffer.byteLength ? bytes : bytes.slice()
    return this.#run({ name: "parse", args: [whole, shapes, limits] }, [whole.buffer as ArrayBuffer])
  }

  async render(job: ConversationJob): Promise<RenderedConversation> {
    return this.#run({ name: "render", args: [JSON.stringify(job)] })
  }

  async encode(text: string, addSpecialTokens: boolean): Promise<readonly number[]> {
    return numbersOf(await this.#run<Int32Array>({ name: "encode", args: [text, addSpecialTokens] }))
  }

  count(text: string, addSpecialTokens: boolean): Promise<number> {
    return this.#run({ name: "count", args: [text, addSpecialTokens] })
  }

  tokenize(text: string, options: TokenizeOptions): Promise<Uint8Array<ArrayBuffer>> {
    return this.#run({ name: "tokenize", args: [text, options] })
  }

  decode(tokenIds: readonly number[]): Promise<string> {
    const ids = new Float64Array(tokenIds)
    return this.#run({ name: "decode", args: [ids] }, [ids.buffer])
  }

  /** Starts the thread before there is work for it. */
  warm(): void {
    if (this.#worker !== null) return
    this.#worker = this.#start()
    this.#onStart()
  }

  stop(): void {
    this.#worker?.terminate()
  }

  async #run<T>(job: TextJob, transferred: ArrayBuffer[] = []): Promise<T> {
    this.warm()
    // A long text takes time to be handed over, as it took to be made: others are answered in between.
    await new Promise((resolve) => setImmediate(resolve))
    this.warm()
    const jobId = this.#nextJobId++
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    this.#pending.set(jobId, { resolve: resolve as (value: unknown) => void, reject })
    this.#worker!.postMessage({ jobId, job } satisfies ToTextThread, transferred)
    return promise
  }

  #start(): Worker {
    const worker = this.#startWorker()
    worker.onmessage = (event: MessageEvent<FromTextThread>) => this.#settle(event.data)
    worker.onerror = (event) => this.#lose(worker, `text thread: ${event.message}`)
    worker.addEventListener("close", () => this.#lose(worker, "the text thread ended"))
    return worker
  }

  #settle({ jobId, result }: FromTextThread): void {
    const job = this.#pending.get(jobId)
    assert(job !== undefined, () => `text job ${jobId} ended twice`)
    this.#pending.delete(jobId)
    if (result.isOk) job.resolve(result.value)
    else if (result.options !== null) job.reject(new RequestError(result.message, result.options))
    else job.reject(new Error(result.message))
  }

  /** Every job that it had fails; the next one gets a new thread. */
  #lose(worker: Worker, words: string): void {
    if (this.#worker !== worker) return
    this.#worker = null
    for (const job of this.#pending.values()) job.reject(new Error(words))
    this.#pending.clear()
  }
}
