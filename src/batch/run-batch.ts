/**
 * Runs a file of requests through the API's application, without a network, and writes a line for each.
 *
 * So many requests are under way at once as asked for; the input is read no faster than that. What is refused or fails
 * is a result like any other. Only a run that is stopped, or an engine that dies, leaves requests without one: the next
 * run takes them up.
 */
import type { BatchOutput, BatchResult } from "./batch-output.ts"
import { parseBatchLine } from "./batch-request.ts"
import type { BatchRequest, LineError } from "./batch-request.ts"
import type { BatchCounts, Progress } from "./progress.ts"
import type { Line } from "./read-lines.ts"

export interface BatchJob {
  readonly lines: AsyncGenerator<Line, void, void>
  /** Null where it is not known beforehand. */
  readonly numLines: number | null
  readonly output: BatchOutput
  readonly concurrency: number
  /** The application. */
  readonly handle: (request: Request) => Promise<Response>
  /** Whether what the application answers now says nothing about a request. */
  readonly hasDied: () => boolean
  /** Stops the run: what is under way gets no result. */
  readonly signal: AbortSignal
  readonly progress: Progress
  readonly randomHex: (numBytes: number) => string
}

export interface BatchSummary extends BatchCounts {
  readonly isStopped: boolean
  /** Results in the output file that belong to no request of the input. */
  readonly numStray: number
}

export async function runBatch(job: BatchJob): Promise<BatchSummary> {
  const run = new BatchRun(job)
  await Promise.all(Array.from({ length: job.concurrency }, () => run.work()))
  return run.summary()
}

class BatchRun {
  readonly #job: BatchJob
  readonly #counts: BatchCounts & { numSkipped: number }
  /** Of this run's input. */
  readonly #seen = new Set<string>()
  /** Resolves with false when the run is stopped. */
  readonly #stopped: Promise<false>

  constructor(job: BatchJob) {
    this.#job = job
    const { promise, resolve } = Promise.withResolvers<false>()
    this.#stopped = promise
    job.signal.addEventListener("abort", () => resolve(false), { once: true })
    this.#counts = {
      numTotal: job.numLines, numSkipped: 0, numDone: 0, numFailed: 0, numPromptTokens: 0, numOutputTokens: 0,
    }
  }

  /** Takes line after line, until there is none. */
  async work(): Promise<void> {
    while (!this.#isOver()) {
      const { value: line, done } = await this.#job.lines.next()
      if (done === true || this.#isOver()) return
      await this.#take(line)
    }
  }

  summary(): BatchSummary {
    const { output } = this.#job
    const isStopped = this.#isOver()
    const numStray = isStopped ? 0 : [...output.doneIds].filter((id) => !this.#seen.has(id)).length
    this.#job.progress.finish(this.#counts, isStopped)
    return { ...this.#counts, isStopped, numStray }
  }

  #isOver(): boolean {
    return this.#job.signal.aborted || this.#job.hasDied()
  }

  async #take(line: Line): Promise<void> {
    const { output } = this.#job
    const parsed = parseBatchLine(line)
    if (!("request" in parsed)) return this.#refuse(parsed.customId, parsed.error)
    const { request } = parsed
    if (this.#seen.has(request.customId)) return this.#refuse(request.customId, duplicate(request))
    this.#seen.add(request.customId)
    if (output.doneIds.has(request.customId)) this.#counts.numSkipped += 1
    else await this.#answer(request)
  }

  /** A line that asks nothing which could be answered. */
  async #refuse(customId: string | null, error: LineError): Promise<void> {
    const { output } = this.#job
    const isDone = customId === null || error.code === "duplicate_custom_id"
      ? output.doneLines.has(error.line)
      : output.doneIds.has(customId)
    if (customId !== null) this.#seen.add(customId)
    if (isDone) this.#counts.numSkipped += 1
    // A second line of the same custom_id must not take the first one's place in a later run.
    else await this.#write({ custom_id: error.code === "duplicate_custom_id" ? null : customId, response: null, error })
  }

  async #answer(request: BatchRequest): Promise<void> {
    const { handle, signal, randomHex } = this.#job
    const requestId = `batch-${randomHex(8)}`
    const headers = { "content-type": "application/json", "x-request-id": requestId }
    const init = { method: "POST", headers, body: JSON.stringify(request.body), signal }
    const answer = await handle(new Request(`http://localhost${request.url}`, init))
    const text = await answer.text()
    // It may be the end that answered, and not the endpoint.
    if (this.#isOver()) return
    const response = { status_code: answer.status, request_id: requestId, body: parseJson(text) }
    await this.#write({ custom_id: request.customId, response, error: null })
  }

  async #write(result: Omit<BatchResult, "id">): Promise<void> {
    const { output, progress, randomHex } = this.#job
    const counts = this.#counts
    const written = output.write({ id: `batch_req_${randomHex(16)}`, ...result }).then(() => true)
    written.catch(() => {}) // may come after the end
    // A reader that stalls must not keep a run from being stopped.
    if (!(await Promise.race([written, this.#stopped]))) return
    counts.numDone += 1
    if (result.response === null || result.response.status_code >= 400) counts.numFailed += 1
    const { prompt, output: generated } = tokensOf(result.response?.body)
    counts.numPromptTokens += prompt
    counts.numOutputTokens += generated
    progress.update(counts)
  }
}

function duplicate({ customId, lineNumber }: BatchRequest): LineError {
  const message = `line ${lineNumber}: custom_id ${JSON.stringify(customId.slice(0, 80))} is that of an earlier line`
  return { code: "duplicate_custom_id", message, line: lineNumber }
}

/** An answer is text where it is not JSON. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

/** As the answers of OpenAI's and Anthropic's endpoints tell them. */
function tokensOf(body: unknown): { prompt: number; output: number } {
  const usage = (body as { usage?: Record<string, unknown> } | null | undefined)?.usage ?? {}
  const count = (...names: string[]) =>
    names.map((name) => usage[name]).find((value) => typeof value === "number") ?? 0
  return { prompt: count("prompt_tokens", "input_tokens"), output: count("completion_tokens", "output_tokens") }
}
