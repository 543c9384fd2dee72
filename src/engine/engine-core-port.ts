import type { EngineCoreOutput } from "../core/engine-core-output.ts"
import type { SamplingParams } from "../core/sampling-params.ts"
import type { SchedulerStats } from "../core/scheduler-stats.ts"

/**
 * The back half of the engine as its front half sees it: a scheduler and a model runner on another thread.
 *
 * Outputs arrive in batches, one batch a step at most. Messages keep their order: an `abort` sent after an `add` finds
 * the request, and no output of a request arrives after the batch that finished it.
 */
export interface EngineCorePort {
  /** The choices of one request; what they share (the prompt, lists of ids) is sent, and kept, once. */
  add(requests: readonly EngineCoreRequest[]): void
  /** Idempotent; unknown and finished ids are ignored. An aborted request gets no further output. */
  abort(requestIds: readonly string[]): void
  /** Control operations; rejects with the words of what went wrong. */
  call<K extends keyof EngineCoreCalls>(
    name: K,
    ...args: Parameters<EngineCoreCalls[K]>
  ): Promise<boolean>
  onOutputs(listener: (outputs: EngineCoreOutputs) => void): void
  /** The back half died: every live request ends with an error. Called once a start. */
  onDeath(listener: (error: Error) => void): void
  /** After its death: starts it again, empty. Resolves when it works. */
  restart(): Promise<void>
  /** Stops the back half; resolves when its memory is released. */
  close(): Promise<void>
}

export interface EngineCoreRequest {
  readonly requestId: string
  readonly promptTokenIds: readonly number[]
  readonly sampling: SamplingParams
  readonly priority: number
  /** Seconds, front-end clock. */
  readonly arrivalTime: number
  readonly cacheSalt: string | null
  /** Of the grammar that its text is held to; null: none. */
  readonly grammarId: number | null
}

/**
 * A batch may bring stats alone: one follows whatever changed them without an output, an abort above all, so that the
 * gauges of an idle engine read zero.
 */
export interface EngineCoreOutputs {
  readonly outputs: readonly EngineCoreOutput[]
  /** When the step's tokens were known: seconds on the clock of `RequestEvent.timestamp`, which is the core's. */
  readonly timestamp: number
  readonly stats: SchedulerStats
}

/** Each answers yes or no. */
export interface EngineCoreCalls {
  resetPrefixCache(resetRunning: boolean): boolean
  /** Resolves when no request can go on in that state: true; or when `resume` comes first: false. */
  pause(state: "paused_new" | "paused_all"): boolean | Promise<boolean>
  resume(): boolean
  /** Gives memory back (see `Runner`). Requires: paused and at rest; at level 2, no request holds blocks. */
  sleep(level: 1 | 2): boolean
  /** Errors: when there is no memory to load into; the runner sleeps on. */
  wakeUp(): boolean
  /** Nothing running or waiting, every block free: for tests and the drain. */
  isIdle(): boolean
}
