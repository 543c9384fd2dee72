/**
 * Sends spans to an OpenTelemetry collector: OTLP over HTTP, in its JSON form.
 *
 * Spans wait in a bounded queue and leave in batches, a little later or when there are many. A collector that is away
 * costs spans, never requests: what cannot be delivered after a few tries is dropped, and the log says how much.
 */
import type { Log } from "../../base/log.ts"

/** `double` says that a number is one even where it has no fraction. */
export type AttributeValue = string | number | boolean | readonly string[] | { readonly double: number }
export type Attributes = Readonly<Record<string, AttributeValue>>

export interface Span {
  /** 32 hexadecimal digits. */
  readonly traceId: string
  /** 16 hexadecimal digits. */
  readonly spanId: string
  readonly parentSpanId: string | null
  readonly name: string
  readonly kind: "internal" | "server"
  /** Milliseconds since the epoch, with fractions. */
  readonly startMs: number
  readonly endMs: number
  readonly attributes: Attributes
  readonly isError: boolean
}

export interface OtlpOptions {
  /** Where traces are posted to: "http://collector:4318/v1/traces". */
  readonly endpoint: string
  readonly headers: Readonly<Record<string, string>>
  /** Who sends: service.name above all. */
  readonly resource: Attributes
  readonly scope: { readonly name: string; readonly version: string }
  readonly log: Log
  /** Milliseconds until spans leave that are too few for a batch. */
  readonly delayMs?: number
  /** Milliseconds between two tries. */
  readonly retryMs?: number
}

const MAX_QUEUED = 2048
const MAX_BATCH = 512
const MAX_TRIES = 3
const TIMEOUT_MS = 10_000
/** What a collector answers when it asks to be tried again. */
const RETRYABLE: ReadonlySet<number> = new Set([429, 502, 503, 504])
const KINDS = { internal: 1, server: 2 } as const
const STATUS_ERROR = 2

export class OtlpExporter {
  readonly #options: OtlpOptions
  #queue: Span[] = []
  #numDropped = 0
  #timer: ReturnType<typeof setTimeout> | null = null
  #sending: Promise<void> | null = null

  constructor(options: OtlpOptions) {
    this.#options = options
  }

  add(spans: readonly Span[]): void {
    for (const span of spans) {
      if (this.#queue.length < MAX_QUEUED) this.#queue.push(span)
      else this.#numDropped += 1
    }
    if (this.#queue.length >= MAX_BATCH) void this.flush()
    else this.#timer ??= setTimeout(() => void this.flush(), this.#options.delayMs ?? 2000).unref()
  }

  /** Resolves when everything that was added before has been sent, or given up. */
  flush(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    this.#sending ??= this.#sendAll().finally(() => (this.#sending = null))
    return this.#sending
  }

  async #sendAll(): Promise<void> {
    while (this.#queue.length > 0) {
      const batch = this.#queue.splice(0, MAX_BATCH)
      const failure = await this.#send(batch)
      if (failure === null) continue
      this.#numDropped += batch.length
      const { log, endpoint } = this.#options
      log.warning("traces were not delivered", { endpoint, reason: failure, spans: this.#numDropped })
      this.#numDropped = 0
    }
  }

  /** Null when the collector has them, else why not. Never rejects. */
  async #send(spans: readonly Span[]): Promise<string | null> {
    const { endpoint, headers, retryMs = 1000 } = this.#options
    const body = JSON.stringify(this.#encode(spans))
    for (let numTries = 1; ; numTries++) {
      let failure: string
      try {
        const response = await fetch(endpoint, {
          method: "POST", headers: { ...headers, "content-type": "application/json" }, body,
          signal: AbortSignal.timeout(TIMEOUT_MS),
        })
        if (response.ok) return null
        failure = `status ${response.status}`
        if (!RETRYABLE.has(response.status)) return failure
      } catch (error) {
        failure = error instanceof Error ? error.message : String(error)
      }
      if (numTries === MAX_TRIES) return failure
      await new Promise((resolve) => setTimeout(resolve, retryMs * numTries).unref())
    }
  }

  #encode(spans: readonly Span[]): object {
    const { resource, scope } = this.#options
    const scopeSpans = [{ scope, spans: spans.map(encodeSpan) }]
    return { resourceSpans: [{ resource: { attributes: encodeAttributes(resource) }, scopeSpans }] }
  }
}

function encodeSpan(span: Span): object {
  return {
    traceId: span.traceId,
    spanId: span.spanId,
    ...(span.parentSpanId === null ? {} : { parentSpanId: span.parentSpanId }),
    name: span.name,
    kind: KINDS[span.kind],
    startTimeUnixNano: toNanoseconds(span.startMs),
    endTimeUnixNano: toNanoseconds(span.endMs),
    attributes: encodeAttributes(span.attributes),
    status: span.isError ? { code: STATUS_ERROR } : {},
  }
}

/** 64-bit integers are strings in this form. */
function toNanoseconds(ms: number): string {
  return String(BigInt(Math.round(ms * 1000)) * 1000n)
}

function encodeAttributes(attributes: Attributes): object[] {
  return Object.entries(attributes).map(([key, value]) => ({ key, value: encodeValue(value) }))
}

function encodeValue(value: AttributeValue): object {
  if (typeof value === "string") return { stringValue: value }
  if (typeof value === "boolean") return { boolValue: value }
  if (typeof value === "number") return Number.isInteger(value) ? { intValue: String(value) } : { doubleValue: value }
  if ("double" in value) return { doubleValue: value.double }
  return { arrayValue: { values: value.map((each) => ({ stringValue: each })) } }
}
