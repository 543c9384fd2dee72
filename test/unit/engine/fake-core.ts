/**
 * An engine core without a model: each request has a script of tokens, each step gives every running request its next
 * one. It follows the port's contract: stats with every batch, no output after an abort, queued and scheduled events.
 */
import type { EngineCoreOutput, FinishReason, RequestEvent } from "../../../src/core/engine-core-output.ts"
import type { TokenLogprobs } from "../../../src/core/schedule-plan.ts"
import { StatsCounters } from "../../../src/core/scheduler-stats.ts"
import type { SchedulerStats } from "../../../src/core/scheduler-stats.ts"
import type {
  EngineCoreCalls,
  EngineCoreOutputs,
  EngineCorePort,
  EngineCoreRequest,
} from "../../../src/engine/engine-core-port.ts"

export interface FakeCoreOptions {
  /** The tokens of a request; when they run out it starts again. */
  readonly script: (request: EngineCoreRequest) => readonly number[]
  /** Milliseconds between steps; null: only `step()` moves. */
  readonly stepMs?: number | null
  readonly maxNumSeqs?: number
  /** Tokens a step gives each request. */
  readonly tokensPerStep?: number
  /** The core's clock, seconds. */
  readonly now?: () => number
}

interface FakeRequest {
  readonly request: EngineCoreRequest
  readonly script: readonly number[]
  numGenerated: number
  events: RequestEvent[]
}

export class FakeCore implements EngineCorePort {
  /** Every request ever added, in order. */
  readonly added: EngineCoreRequest[] = []
  /** Ids of aborts that found a live request. */
  readonly aborted: string[] = []
  /** Every control operation. */
  readonly calls: { name: string; args: readonly unknown[] }[] = []
  /** What control operations answer; the others, whether the core is idle. */
  readonly #answers: Partial<Record<keyof EngineCoreCalls, () => boolean | Promise<boolean>>> = {}
  numCloses = 0
  readonly #options: Required<FakeCoreOptions>
  readonly #waiting = new Map<string, FakeRequest>()
  readonly #running = new Map<string, FakeRequest>()
  #counters = new StatsCounters()
  #onOutputs: (outputs: EngineCoreOutputs) => void = () => {}
  #onDeath: (error: Error) => void = () => {}
  #timer: ReturnType<typeof setTimeout> | null = null

  constructor(options: FakeCoreOptions) {
    this.#options = { stepMs: null, maxNumSeqs: 256, tokensPerStep: 1, now: () => 0, ...options }
  }

  get numLive(): number {
    return this.#waiting.size + this.#running.size
  }

  add(requests: readonly EngineCoreRequest[]): void {
    this.added.push(...requests)
    // As on its way to another thread: what arrives is a copy, and only plain data survives.
    for (const request of structuredClone(requests)) {
      const events: RequestEvent[] = [{ type: "queued", timestamp: this.#options.now() }]
      this.#waiting.set(request.requestId, { request, script: this.#options.script(request), numGenerated: 0, events })
    }
    this.#schedule()
  }

  abort(requestIds: readonly string[]): void {
    const found = requestIds.filter((id) => this.#waiting.delete(id) || this.#running.delete(id))
    this.aborted.push(...found)
    if (found.length > 0) queueMicrotask(() => this.emit([]))
  }

  async call<K extends keyof EngineCoreCalls>(
    name: K,
    ...args: Parameters<EngineCoreCalls[K]>
  ): Promise<boolean> {
    this.calls.push({ name, args })
    return this.#answers[name]?.() ?? this.numLive === 0
  }

  /** `name` answers so from now on, or throws. */
  answerCall(name: keyof EngineCoreCalls, answer: () => boolean | Promise<boolean>): void {
    this.#answers[name] = answer
  }

  onOutputs(listener: (outputs: EngineCoreOutputs) => void): void {
    this.#onOutputs = listener
  }

  onDeath(listener: (error: Error) => void): void {
    this.#onDeath = listener
  }

  /** Does what the test says: it waits, works or fails. */
  restart: () => Promise<void> = async () => {}

  async close(): Promise<void> {
    this.numCloses += 1
    this.#stop()
  }

  die(message: string): void {
    this.#stop()
    this.#onDeath(new Error(message))
  }

  /** One step: admits what fits, gives every running request its next tokens. */
  step(): void {
    for (const [id, waiting] of this.#waiting) {
      if (this.#running.size >= this.#options.maxNumSeqs) break
      this.#waiting.delete(id)
      this.#running.set(id, waiting)
      waiting.events.push({ type: "scheduled", timestamp: this.#options.now() })
    }
    const outputs = [...this.#running.values()].map((running) => this.#advance(running))
    for (const { requestId, finishReason } of outputs) if (finishReason !== null) this.#running.delete(requestId)
    if (outputs.length > 0) this.emit(outputs)
  }

  /** Sends `outputs`, scripted by the test, with the present stats. */
  emit(outputs: readonly EngineCoreOutput[]): void {
    this.#onOutputs({ outputs, timestamp: this.#options.now(), stats: this.#takeStats() })
  }

  #advance(running: FakeRequest): EngineCoreOutput {
    const { request, script, events } = running
    const { sampling, promptTokenIds } = request
    const isFirst = running.numGenerated === 0
    const newTokenIds: number[] = []
    let end: { finishReason: FinishReason | null; stopReason: number | null } = { finishReason: null, stopReason: null }
    while (newTokenIds.length < this.#options.tokensPerStep && end.finishReason === null) {
      const token = script[running.numGenerated % script.length]!
      newTokenIds.push(token)
      running.numGenerated += 1
      if (token === sampling.eosTokenId && !sampling.ignoreEos) end = { finishReason: "stop", stopReason: null }
      else if (sampling.stopTokenIds.includes(token)) end = { finishReason: "stop", stopReason: token }
      else if (running.numGenerated >= sampling.maxTokens) end = { finishReason: "length", stopReason: null }
    }
    running.events = []
    this.#counters.numGenerationTokens += newTokenIds.length
    if (isFirst) this.#counters.promptTokens.localCompute += promptTokenIds.length
    const { logprobs, promptLogprobs } = sampling
    return {
      requestId: request.requestId,
      newTokenIds,
      logprobs: logprobs === null ? null : newTokenIds.map((id) => fakeLogprobs(id, logprobs)),
      promptLogprobs: isFirst && promptLogprobs !== null
        ? promptTokenIds.slice(1).map((id) => fakeLogprobs(id, promptLogprobs))
        : null,
      ...end,
      events,
      prefillStats: isFirst
        ? { numPromptTokens: promptTokenIds.length, numCachedTokens: 0, numComputedTokens: promptTokenIds.length }
        : null,
      draft: null,
    }
  }

  #takeStats(): SchedulerStats {
    const { numPreemptions, prefixCache, promptTokens, numGenerationTokens, specDecoding } = this.#counters
    this.#counters = new StatsCounters()
    return {
      numRunning: this.#running.size,
      numWaiting: this.#waiting.size,
      numDeferred: 0,
      numBlocked: { grammar: 0, stale_output: 0, remote_kv: 0 },
      kvCacheUsage: this.#running.size / this.#options.maxNumSeqs,
      numPreemptions,
      prefixCache,
      promptTokens,
      numGenerationTokens,
      numIterationTokens: promptTokens.localCompute + numGenerationTokens,
      specDecoding,
    }
  }

  #schedule(): void {
    const { stepMs } = this.#options
    if (stepMs === null || this.#timer !== null || this.numCloses > 0) return
    this.#timer = setTimeout(() => {
      this.#timer = null
      this.step()
      if (this.numLive > 0) this.#schedule()
    }, stepMs)
  }

  #stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    this.#waiting.clear()
    this.#running.clear()
  }
}

/** The token itself at -0.5, then its successors, each 1 less likely. */
export function fakeLogprobs(tokenId: number, numTop: number): TokenLogprobs {
  const places = Array.from({ length: numTop }, (_, i) => i)
  return {
    tokenId,
    logprob: -0.5,
    rank: 1,
    topIds: places.map((i) => (tokenId + i) % 256),
    topLogprobs: places.map((i) => -0.5 - i),
  }
}
