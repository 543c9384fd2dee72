/** Text work on a thread of its own, in the order in which it was asked for. The thread starts with the first job. */
import { assert } from "../../base/assert.ts"
import { RequestError } from "../../base/errors.ts"
import type { RequestErrorOptions } from "../../base/errors.ts"
import { parseExactly } from "../../base/json-number.ts"
import type { JsonLimits } from "../../base/json-scan.ts"
import type { BodyShape } from "../body-schemas.ts"
import type { ConversationJob, RenderedConversation } from "../conversation-job.ts"
import type { ParsedBody } from "../parse-body.ts"
import type { TextWork } from "./text-work.ts"

/** What stands for the arguments on the way: numbers of a conversation stay as they are written in JSON alone. */
type Sent<K extends keyof TextWork> = K extends "render" ? readonly [json: string] : Parameters<TextWork[K]>
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
    const { name, args } = job.name === "render" ? { ...job, args: [parseExactly(job.args[0])] } : job
    const run = work[name] as (...args: readonly unknown[]) => Promise<unknown>
    return { isOk: true, value: await run.apply(work, args) }
  } catch (error) {
    if (error instanceof RequestError) return { isOk: false, message: error.message, options: { ...error } }
    const message = error instanceof Error ? (error.stack ?? error.message) : String(error)
    return { isOk: false, message, options: null }
  }
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

  encode(text: string, addSpecialTokens: boolean): Promise<readonly number[]> {
    return this.#run({ name: "encode", args: [text, addSpecialTokens] })
  }

  decode(tokenIds: readonly number[]): Promise<string> {
    return this.#run({ name: "decode", args: [tokenIds] })
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

  #run<T>(job: TextJob, transferred: ArrayBuffer[] = []): Promise<T> {
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
