import { timedEvents } from "./sse-client.ts"

/** How a server is asked: one of OpenAI's two ways. */
export type Api = "completions" | "chat"

export interface ServerRequest {
  readonly url: string
  readonly api: Api
  readonly headers: Readonly<Record<string, string>>
  readonly body: Readonly<Record<string, unknown>>
  readonly now: () => number
}

/** What became of a request. Times in milliseconds, as `vllm bench serve` defines them. */
export interface Outcome {
  /** Null: it succeeded. */
  readonly error: string | null
  readonly startMs: number
  /** From being due to being sent: it waited for a free place. */
  readonly queueMs: number
  /** From being sent to the first chunk that has choices (in a chat the one with the role). */
  readonly ttftMs: number
  /** Between such chunks. */
  readonly itlsMs: readonly number[]
  /** To the last such chunk. */
  readonly latencyMs: number
  readonly promptTokens: number
  readonly outputTokens: number
  readonly text: string
}

interface Chunk {
  readonly choices?: readonly { readonly text?: string | null; readonly delta?: { readonly content?: string | null } }[]
  readonly usage?: { readonly prompt_tokens?: number; readonly completion_tokens?: number } | null
  readonly error?: { readonly message?: string } | string
}

/** Sends a request and reads its stream to the end. Never rejects: what goes wrong is an outcome. */
export async function sendRequest(request: ServerRequest, queueMs: number, promptTokens: number): Promise<Outcome> {
  const startMs = request.now()
  const reader = new StreamReader(startMs)
  let error: string | null
  try {
    const response = await fetch(request.url, {
      method: "POST", headers: { "content-type": "application/json", ...request.headers },
      body: JSON.stringify(request.body),
    })
    if (!response.ok || response.body === null) error = `${response.status}: ${await response.text()}`
    else error = await reader.read(response.body, request.now)
  } catch (thrown) {
    error = (thrown as Error).message
  }
  return reader.outcome(error, queueMs, promptTokens)
}

class StreamReader {
  readonly #startMs: number
  readonly #itlsMs: number[] = []
  #firstMs: number | null = null
  #lastMs = 0
  #text = ""
  #usage: Chunk["usage"] = null

  constructor(startMs: number) {
    this.#startMs = startMs
  }

  /** Null, or what was wrong with the stream. */
  async read(body: AsyncIterable<Uint8Array>, now: () => number): Promise<string | null> {
    for await (const { data, atMs } of timedEvents(body, now)) {
      if (data === "[DONE]") continue
      const chunk = JSON.parse(data) as Chunk
      if (chunk.error !== undefined)
        return typeof chunk.error === "string" ? chunk.error : chunk.error.message ?? "an error without a message"
      this.#usage = chunk.usage ?? this.#usage
      if (chunk.choices !== undefined && chunk.choices.length > 0) this.#take(chunk.choices[0]!, atMs)
    }
    return this.#firstMs === null ? "the stream ended without a token" : null
  }

  outcome(error: string | null, queueMs: number, promptTokens: number): Outcome {
    const firstMs = this.#firstMs ?? this.#startMs
    const numChunks = this.#firstMs === null ? 0 : this.#itlsMs.length + 1
    return {
      error, startMs: this.#startMs, queueMs, ttftMs: firstMs - this.#startMs, itlsMs: this.#itlsMs,
      latencyMs: Math.max(firstMs, this.#lastMs) - this.#startMs, text: this.#text,
      promptTokens: this.#usage?.prompt_tokens ?? promptTokens,
      outputTokens: this.#usage?.completion_tokens ?? numChunks,
    }
  }

  #take(choice: NonNullable<Chunk["choices"]>[number], atMs: number): void {
    if (this.#firstMs === null) this.#firstMs = atMs
    else this.#itlsMs.push(atMs - this.#lastMs)
    this.#lastMs = atMs
    this.#text += choice.text ?? choice.delta?.content ?? ""
  }
}
