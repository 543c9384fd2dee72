/**
 * The back half's loop: take in messages, schedule, execute, update, emit; park when there is nothing to do.
 *
 * Invariants
 *   1. As many steps at a time as the runner takes. Between two of them the thread's event loop runs once, so that
 *      requests and aborts that arrived during a step take effect before the next.
 *   2. No timer and no polling: with no work nothing is scheduled but the preparation of memory for the next requests,
 *      which ends, and then an idle engine uses no processor time.
 *   3. An error in a step is the end: it is reported once and no further step runs.
 */
import { assert, present } from "../base/assert.ts"
import type { Speculator } from "../core/draft/speculator.ts"
import type { BlockHash } from "../core/kv/block-hash.ts"
import { Request } from "../core/request.ts"
import type { PauseState, Scheduler } from "../core/scheduler.ts"
import type { EngineCoreCalls, EngineCoreOutputs, EngineCoreRequest } from "./engine-core-port.ts"
import type { Runner } from "./runner.ts"
import { StepPipeline, type FinishedStep, type MaskSource } from "./step-pipeline.ts"
import type { StepPacer, StepTime } from "./step-pacer.ts"

/** Free blocks whose memory is kept ready. */
const READY_BLOCKS = 32

export interface EngineCoreDeps {
  readonly scheduler: Scheduler
  readonly runner: Runner
  /** Runs `next` after the messages that have arrived. */
  readonly yieldThen: (next: () => void) => void
  /** Seconds; the clock of the scheduler's events. */
  readonly clock: () => number
  readonly emit: (outputs: EngineCoreOutputs) => void
  readonly onError: (error: Error) => void
  /** Drafts tokens; null or absent: nothing is drafted. */
  readonly speculator?: Speculator | null
  /** Follows the grammars of requests; null or absent: no request has one. */
  readonly grammars?: (MaskSource & { start(requestId: string, grammarId: number): void }) | null
  /** Bounds how long a step keeps running streams waiting; null lets prompts fill the token budget. */
  readonly pacer?: StepPacer | null
}

export class EngineCore {
  readonly #deps: EngineCoreDeps
  readonly #pipeline: StepPipeline
  /** Who waits for a pause. */
  readonly #onRest: ((isAtRest: boolean) => void)[] = []
  #isLooping = false
  #isPreparing = false
  #isStopped = false

  constructor(deps: EngineCoreDeps) {
    this.#deps = deps
    this.#pipeline = new StepPipeline(deps.scheduler, deps.runner, deps.clock, deps)
  }

  /** From now on idle time is used. Before that, it is not. */
  start(): void {
    this.#prepare()
  }

  add(requests: readonly EngineCoreRequest[]): void {
    // Requests of one message over one prompt are choices of one request: they have its salt in common.
    const hashes = new Map<readonly number[], BlockHash[]>()
    for (const request of requests) {
      const promptHashes = hashes.get(request.promptTokenIds) ?? []
      hashes.set(request.promptTokenIds, promptHashes)
      const { runner, speculator = null, grammars = null } = this.#deps
      const { requestId, sampling, grammarId } = request
      const waitsForHost = speculator !== null || grammarId !== null || runner.waitsForHost(sampling)
      this.#deps.scheduler.addRequest(new Request({ ...request, promptHashes, waitsForHost }))
      if (grammarId !== null) present(grammars, "who follows grammars").start(requestId, grammarId)
    }
    this.#wake()
  }

  abort(requestIds: readonly string[]): void {
    this.#deps.scheduler.finishRequests(requestIds, "abort")
    // One more step tells the runner, and sends the front half the new counts.
    this.#wake()
  }

  call<K extends keyof EngineCoreCalls>(name: K, args: Parameters<EngineCoreCalls[K]>): boolean | Promise<boolean> {
    const { scheduler } = this.#deps
    const calls: EngineCoreCalls = {
      resetPrefixCache: (resetRunning) => scheduler.resetPrefixCache(resetRunning),
      isIdle: () => !scheduler.hasUnfinishedRequests() && this.#pipeline.isEmpty && scheduler.kvCacheUsage === 0,
      pause: (state) => this.#pause(state),
      resume: () => this.#resume(),
      sleep: (level) => this.#sleep(level),
      wakeUp: () => this.#wakeUp(),
    }
    const handler = calls[name] as (...args: unknown[]) => boolean | Promise<boolean>
    assert(handler !== undefined, () => `unknown call ${name}`)
    const value = handler(...args)
    this.#wake()
    return value
  }

  #pause(state: Exclude<PauseState, "unpaused">): boolean | Promise<boolean> {
    const { scheduler } = this.#deps
    scheduler.setPause(state)
    if (!this.#pipeline.hasWork) return true
    return new Promise((resolve) => this.#onRest.push(resolve))
  }

  #resume(): boolean {
    this.#deps.scheduler.setPause("unpaused")
    this.#settlePauses(false)
    return true
  }

  #sleep(level: 1 | 2): boolean {
    const { scheduler, runner } = this.#deps
    const isBusy = scheduler.hasUnfinishedRequests() || !this.#pipeline.isEmpty
    assert(!isBusy, "an engine that works cannot sleep")
    assert(level === 1 || scheduler.kvCacheUsage === 0, "requests hold blocks of a KV cache that is to go")
    runner.sleep(level)
    return true
  }

  #wakeUp(): boolean {
    this.#deps.runner.wake()
    return true
  }

  /** Resolves pending pauses with whether the engine has come to rest. */
  #settlePauses(isAtRest: boolean): void {
    for (const resolve of this.#onRest.splice(0)) resolve(isAtRest)
  }

  /** No further step runs. The runner may be disposed of afterwards. */
  stop(): void {
    this.#isStopped = true
  }

  #wake(): void {
    if (this.#isLooping || this.#isStopped) return
    this.#isLooping = true
    this.#deps.yieldThen(() => this.#loop())
  }

  #loop(): void {
    if (this.#isStopped) return
    try {
      if (this.#pipeline.hasWork) this.#step()
    } catch (error) {
      return this.#fail(error)
    }
    if (this.#pipeline.hasWork) {
      this.#deps.yieldThen(() => this.#loop())
    } else {
      this.#isLooping = false
      this.#emit([])
      this.#settlePauses(true)
      this.#prepare()
    }
  }

  /** Gets memory ready for the next requests, a little between any two turns of the event loop. */
  #prepare(): void {
    const { scheduler, runner, yieldThen } = this.#deps
    if (this.#isLooping || this.#isStopped || this.#isPreparing) return
    try {
      if (!runner.prepare(scheduler.nextFreeBlocks(READY_BLOCKS))) return
    } catch (error) {
      return this.#fail(error)
    }
    this.#isPreparing = true
    yieldThen(() => {
      this.#isPreparing = false
      this.#prepare()
    })
  }

  #fail(error: unknown): void {
    this.#isStopped = true
    this.#deps.onError(error instanceof Error ? error : new Error(String(error)))
  }

  #step(): void {
    const { pacer = null } = this.#deps
    const step = this.#pipeline.advance(pacer?.maxPromptTokens())
    if (step === null) return
    pacer?.record(stepTime(step))
    this.#emit(step.outputs)
  }

  #emit(outputs: EngineCoreOutputs["outputs"]): void {
    const { emit, scheduler, clock } = this.#deps
    emit({ outputs, stats: scheduler.makeStats(), timestamp: clock() })
  }
}

function stepTime({ plan: { requests, totalNumScheduledTokens }, seconds }: FinishedStep): StepTime {
  let numDecodes = 0
  for (const { tokenIds, numComputedTokens } of requests) if (tokenIds.length - numComputedTokens <= 1) numDecodes += 1
  return { seconds, numDecodes, numPromptTokens: totalNumScheduledTokens - numDecodes }
}
