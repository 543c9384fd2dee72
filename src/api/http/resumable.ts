/**
 * Streams that outlive their connection.
 *
 * A request that asks for it gets events with ids, "<stream>-<number>". When its connection breaks, the answer goes on
 * for `seconds`; a client that comes back in that time, with the last id it saw, gets what it missed and then the rest.
 * Nothing is made ahead of the reader here either: while nobody reads, the engine's outputs wait joined in one.
 *
 *   attached --connection gone, or all sent--> detached --resumed--> attached
 *                                                  |
 *                                                  +--seconds pass--> forgotten (what still runs is aborted)
 *
 * Kept of each stream: its last `bytes` bytes of events, and always the last event.
 */
import { RequestError } from "../../base/errors.ts"
import { admitted } from "./admitted.ts"
import { randomHex } from "./request-id.ts"
import { sseBody, SseText } from "./sse.ts"
import type { SseOptions, SseReader } from "./sse.ts"

export interface ResumeLimits {
  /** How long a stream without a connection is kept; 0 keeps none. */
  readonly seconds: number
  /** Of the events of one stream, about; they are text, counted as they are held. */
  readonly bytes: number
}

/** Streams without a connection, at most; beyond it the one that has waited longest is forgotten. */
const MAX_DETACHED = 256

export class StreamStore {
  readonly #limits: ResumeLimits
  readonly #streams = new Map<string, ResumableStream>()
  /** In the order in which they lost their connections. */
  readonly #detached = new Map<ResumableStream, ReturnType<typeof setTimeout>>()

  constructor(limits: ResumeLimits) {
    this.#limits = limits
  }

  get size(): number {
    return this.#streams.size
  }

  /** Errors: `RequestError` where this server keeps no streams. */
  checkEnabled(): void {
    if (this.#limits.seconds > 0) return
    throw new RequestError("This server keeps no streams: it runs with --stream-resume-seconds 0.", {
      param: "stream_options.resumable",
    })
  }

  /**
   * Answers with the events, which can be resumed. `owner` is who may do so; `signal` is aborted when the connection is
   * gone. Errors: those of `sseResponse`.
   */
  async open(
    events: AsyncGenerator<object, void, void>, owner: string, signal: AbortSignal, options: SseOptions,
  ): Promise<Response> {
    const source = new SseText(await admitted(events), options)
    const stream = new ResumableStream(source, owner, options, this.#limits.bytes)
    this.#streams.set(stream.id, stream)
    return this.#attach(stream, 0, signal)
  }

  /** Answers with the events behind `eventId`. Errors: `RequestError` 404 for one not kept, or another owner's. */
  resume(eventId: string, owner: string, signal: AbortSignal): Response {
    const [, id = "", number = ""] = /^([0-9a-f]{32})(?:-(\d{1,15}))?$/.exec(eventId) ?? []
    const stream = this.#streams.get(id)
    const from = number === "" ? 0 : Number(number) + 1
    if (stream === undefined || stream.owner !== owner || !stream.isKept(from)) {
      throw new RequestError(
        "There is no stream with this event id, or the events behind it are not kept any more. " +
          `A stream is kept for ${this.#limits.seconds} s after its connection broke.`,
        { status: 404, type: "NotFoundError", param: "Last-Event-ID" },
      )
    }
    return this.#attach(stream, from, signal)
  }

  #attach(stream: ResumableStream, from: number, signal: AbortSignal): Response {
    clearTimeout(this.#detached.get(stream))
    this.#detached.delete(stream)
    const reader = stream.attach(from, () => this.#detach(stream))
    signal.addEventListener("abort", () => reader.cancel(), { once: true })
    if (signal.aborted) reader.cancel()
    return sseBody(reader, stream.options)
  }

  #detach(stream: ResumableStream): void {
    const timer = setTimeout(() => this.#forget(stream), this.#limits.seconds * 1000)
    timer.unref()
    this.#detached.set(stream, timer)
    const [oldest] = this.#detached.keys()
    if (this.#detached.size > MAX_DETACHED && oldest !== undefined) this.#forget(oldest)
  }

  #forget(stream: ResumableStream): void {
    clearTimeout(this.#detached.get(stream))
    this.#detached.delete(stream)
    this.#streams.delete(stream.id)
    stream.close()
  }
}

class ResumableStream {
  readonly id = randomHex(16)
  readonly owner: string
  readonly options: SseOptions
  readonly #source: SseText
  readonly #maxBytes: number
  /** The last events, as they were sent. */
  #kept: string[] = []
  #numKeptBytes = 0
  #numDropped = 0
  #hasEnded = false
  #pending: Promise<void> | null = null
  #attached: Attachment | null = null

  constructor(source: SseText, owner: string, options: SseOptions, maxBytes: number) {
    this.#source = source
    this.owner = owner
    this.options = options
    this.#maxBytes = maxBytes
  }

  /** Whether event `number` is kept, or is the next to come. */
  isKept(number: number): boolean {
    return number >= this.#numDropped && number <= this.#numDropped + this.#kept.length
  }

  /** Reads from event `from` on. Whoever read before reads no more. `onDetach` is called when this reader is done. */
  attach(from: number, onDetach: () => void): SseReader {
    this.#attached?.leave()
    const attached = new Attachment(from)
    this.#attached = attached
    const detach = (): void => {
      if (this.#attached !== attached) return
      this.#attached = null
      attached.leave()
      onDetach()
    }
    const next = async (): Promise<string | null> => {
      const text = await this.#read(attached)
      if (text === null) detach()
      return text
    }
    return { next, cancel: detach }
  }

  async #read(attached: Attachment): Promise<string | null> {
    while (this.#attached === attached) {
      const text = this.#kept[attached.position - this.#numDropped]
      if (text !== undefined) {
        attached.position += 1
        return text
      }
      if (this.#hasEnded) return null
      this.#pending ??= this.#advance()
      await attached.wait(this.#pending)
    }
    return null
  }

  async #advance(): Promise<void> {
    const text = await this.#source.next()
    this.#pending = null
    if (text === null) this.#hasEnded = true
    else this.#keep(`id: ${this.id}-${this.#numDropped + this.#kept.length}\n${text}`)
  }

  #keep(text: string): void {
    this.#kept.push(text)
    this.#numKeptBytes += text.length
    while (this.#numKeptBytes > this.#maxBytes && this.#kept.length > 1) {
      this.#numKeptBytes -= this.#kept.shift()!.length
      this.#numDropped += 1
    }
  }

  close(): void {
    this.#source.cancel()
  }
}

/** One connection's place in a stream. */
class Attachment {
  /** The next event it gets. */
  position: number
  #wake = (): void => {}

  constructor(position: number) {
    this.position = position
  }

  /** Resolves when `event` does, or when the connection is left. */
  wait(event: Promise<void>): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve
      void event.then(resolve)
    })
  }

  leave(): void {
    this.#wake()
  }
}
