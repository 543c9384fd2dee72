/** Speaks OpenAI's API: to a server, or to the application in this process. */
import type { Settings } from "./settings.ts"
import { sseData } from "./sse-data.ts"

export interface Message {
  readonly role: "system" | "user" | "assistant"
  readonly content: string
}

/** A piece of an answer. */
export interface Piece {
  readonly kind: "text" | "reasoning"
  readonly text: string
}

/** What is known of an answer when it has ended. */
export interface AnswerEnd {
  readonly finishReason: string | null
  readonly promptTokens: number | null
  readonly outputTokens: number | null
}

export interface ApiTarget {
  /** Up to and without the endpoint: "http://127.0.0.1:8000/v1". */
  readonly baseUrl: string
  readonly apiKey: string | null
  readonly fetch: (request: Request) => Promise<Response>
}

/** The server refused, failed, or is not there; the message is for the user. */
export class ApiError extends Error {
  override readonly name = "ApiError"
}

/** Reasoning has two names. */
interface Delta {
  readonly content?: string | null
  readonly reasoning?: string | null
  readonly reasoning_content?: string | null
}

interface StreamChunk {
  readonly choices?: readonly {
    readonly delta?: Delta
    readonly text?: string
    readonly finish_reason?: string | null
  }[]
  readonly usage?: { readonly prompt_tokens?: number; readonly completion_tokens?: number } | null
  readonly error?: { readonly message?: string }
}

export class ApiClient {
  readonly #target: ApiTarget

  constructor(target: ApiTarget) {
    this.#target = target
  }

  /** The first model that the server lists. Errors: `ApiError`. */
  async firstModel(): Promise<string> {
    const response = await this.#send("/models", null, null)
    const { data } = (await response.json()) as { data?: { id: string }[] }
    const first = data?.[0]?.id
    if (first === undefined) throw new ApiError(`${this.#target.baseUrl} lists no models`)
    return first
  }

  /** Errors: `ApiError`. Aborting `signal` ends it as if it were complete. */
  chat(
    model: string, messages: readonly Message[], settings: Settings, signal: AbortSignal,
  ): AsyncGenerator<Piece, AnswerEnd, void> {
    return this.#stream("/chat/completions", { model, messages, ...Object.fromEntries(settings) }, signal)
  }

  /** The same for plain text that goes on. */
  complete(
    model: string, prompt: string, settings: Settings, signal: AbortSignal,
  ): AsyncGenerator<Piece, AnswerEnd, void> {
    return this.#stream("/completions", { model, prompt, ...Object.fromEntries(settings) }, signal)
  }

  async *#stream(path: string, fields: object, signal: AbortSignal): AsyncGenerator<Piece, AnswerEnd, void> {
    let end: AnswerEnd = { finishReason: null, promptTokens: null, outputTokens: null }
    const body = { ...fields, stream: true, stream_options: { include_usage: true } }
    try {
      const response = await this.#send(path, body, signal)
      if (response.body === null) throw new ApiError("the server sent an empty answer")
      for await (const data of sseData(response.body)) {
        if (signal.aborted) break
        const chunk = parseChunk(data)
        if (chunk.error !== undefined) throw new ApiError(chunk.error.message ?? "the server failed")
        yield* piecesOf(chunk)
        end = endOf(chunk, end)
      }
    } catch (error) {
      if (signal.aborted) return end
      throw asApiError(error)
    }
    return end
  }

  async #send(path: string, body: object | null, signal: AbortSignal | null): Promise<Response> {
    const { baseUrl, apiKey, fetch } = this.#target
    const headers = new Headers(body === null ? {} : { "content-type": "application/json" })
    if (apiKey !== null) headers.set("authorization", `Bearer ${apiKey}`)
    const init = body === null ? { headers, signal } : { method: "POST", headers, signal, body: JSON.stringify(body) }
    let response: Response
    try {
      response = await fetch(new Request(baseUrl + path, init))
    } catch (error) {
      throw new ApiError(`cannot reach ${baseUrl}: ${(error as Error).message}`)
    }
    if (!response.ok) throw new ApiError(await describeRefusal(response))
    return response
  }
}

function parseChunk(data: string): StreamChunk {
  try {
    return JSON.parse(data) as StreamChunk
  } catch {
    throw new ApiError(`the server sent something else than JSON: ${data.slice(0, 80)}`)
  }
}

function* piecesOf({ choices }: StreamChunk): Generator<Piece, void, void> {
  const choice = choices?.[0]
  const reasoning = choice?.delta?.reasoning ?? choice?.delta?.reasoning_content
  if (reasoning) yield { kind: "reasoning", text: reasoning }
  const text = choice?.delta?.content ?? choice?.text
  if (text) yield { kind: "text", text }
}

function endOf({ choices, usage }: StreamChunk, before: AnswerEnd): AnswerEnd {
  return {
    finishReason: choices?.[0]?.finish_reason ?? before.finishReason,
    promptTokens: usage?.prompt_tokens ?? before.promptTokens,
    outputTokens: usage?.completion_tokens ?? before.outputTokens,
  }
}

async function describeRefusal(response: Response): Promise<string> {
  const text = await response.text()
  try {
    const { error, detail } = JSON.parse(text) as { error?: { message?: string } | string; detail?: string }
    const words = typeof error === "string" ? error : (error?.message ?? detail)
    if (words !== undefined) return `${words} (status ${response.status})`
  } catch {
    // Not JSON: whatever it says is said below.
  }
  return `status ${response.status}: ${text.slice(0, 200)}`
}

function asApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error
  return new ApiError(`the answer broke off: ${error instanceof Error ? error.message : String(error)}`)
}
