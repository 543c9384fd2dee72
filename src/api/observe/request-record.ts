/**
 * What a request made the engine do, from the HTTP request to the last of its choices: for the log and for traces.
 *
 * The record is opened where the request comes in and found again by the `Request` itself, so that no endpoint has to
 * hand it on. It is complete when every choice of every prompt has ended, in whatever way: for a stream, long after the
 * answer has begun. A whole answer completes it too: a search may find fewer choices than were asked for.
 */
import type { SamplingParams } from "../../core/sampling-params.ts"
import type { FinishedRequest } from "../../engine/finished-request.ts"

/** One choice that has ended. */
export interface FinishedChoice {
  /** The answer's id. */
  readonly id: string
  readonly promptIdx: number
  readonly sampling: SamplingParams
  readonly figures: FinishedRequest
}

export type RecordListener = (record: RequestRecord) => void

export class RequestRecord {
  readonly method: string
  readonly path: string
  /** The X-Request-Id header. */
  readonly requestId: string | null
  readonly traceparent: string | null
  readonly choices: FinishedChoice[] = []
  readonly #onComplete: RecordListener
  #numExpected = 0
  #isComplete = false

  constructor(request: Request, onComplete: RecordListener) {
    this.method = request.method
    this.path = new URL(request.url).pathname
    this.requestId = request.headers.get("x-request-id")
    this.traceparent = request.headers.get("traceparent")
    this.#onComplete = onComplete
  }

  /** The engine works on it, or has. */
  get isGenerating(): boolean {
    return this.#numExpected > 0
  }

  /** Its listener has been called. */
  get isComplete(): boolean {
    return this.#isComplete
  }

  /** So many more choices will end. */
  expect(numChoices: number): void {
    this.#numExpected += numChoices
    this.#isComplete = false
  }

  add(choice: FinishedChoice): void {
    this.choices.push(choice)
    if (this.choices.length === this.#numExpected) this.end()
  }

  /** No more choices will end. */
  end(): void {
    if (this.#isComplete || this.choices.length === 0) return
    this.#isComplete = true
    this.#onComplete(this)
  }
}

const records = new WeakMap<Request, RequestRecord>()

export function openRecord(request: Request, onComplete: RecordListener): RequestRecord {
  const record = new RequestRecord(request, onComplete)
  records.set(request, record)
  return record
}

/** Null where nobody keeps records. */
export function recordOf(request: Request): RequestRecord | null {
  return records.get(request) ?? null
}
