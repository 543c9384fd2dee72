import { assert } from "../base/assert.ts"
import type { Speculator } from "../core/draft/speculator.ts"
import type { EngineCoreOutput } from "../core/engine-core-output.ts"
import type { Scheduler } from "../core/scheduler.ts"
import type { RequestFailure, SchedulePlan } from "../core/schedule-plan.ts"
import type { TokenMasks } from "../core/token-masks.ts"
import type { Runner } from "./runner.ts"

/** A step whose result has been taken in. */
export interface FinishedStep {
  readonly plan: SchedulePlan
  /** From its beginning, or from the end of the step before where that came later, to its result. */
  readonly seconds: number
  readonly outputs: readonly EngineCoreOutput[]
}

/** What follows the grammars of requests, see `GrammarFollower`. */
export interface MaskSource {
  begin(plan: SchedulePlan): void
  masks(plan: SchedulePlan): (TokenMasks & { readonly failures: ReadonlyMap<string, RequestFailure> }) | null
}

export interface StepPipelineOptions {
  readonly speculator?: Speculator | null
  readonly grammars?: MaskSource | null
}

interface StartedStep {
  readonly plan: SchedulePlan
  /** Requests that cannot go on, whatever the runner brings. */
  readonly failures: ReadonlyMap<string, RequestFailure>
  readonly running: unknown
  readonly startedAt: number
}

/**
 * The steps on their way from the scheduler through the runner and back: as many at once as the runner takes. While one
 * computes, the next one is planned over the token that it will bring.
 */
export class StepPipeline {
  readonly #scheduler: Scheduler
  readonly #runner: Runner
  /** Seconds. */
  readonly #clock: () => number
  readonly #speculator: Speculator | null
  readonly #grammars: MaskSource | null
  readonly #started: StartedStep[] = []
  #collectedAt = -Infinity

  constructor(scheduler: Scheduler, runner: Runner, clock: () => number, options: StepPipelineOptions = {}) {
    this.#speculator = options.speculator ?? null
    this.#grammars = options.grammars ?? null
    this.#scheduler = scheduler
    this.#runner = runner
    this.#clock = clock
  }

  /** Whether there is a step to start or to take in. */
  get hasWork(): boolean {
    return this.#started.length > 0 || this.#scheduler.hasWork()
  }

  /** Whether nothing is between `submit` and `collect`. */
  get isEmpty(): boolean {
    return this.#started.length === 0
  }

  /**
   * Starts a step where one can be planned, and takes in the oldest one where no more may be started: null where that
   * has to wait for the next call. Errors: those of the runner.
   */
  advance(maxPromptTokens?: number): FinishedStep | null {
    const plan = this.#scheduler.schedule(maxPromptTokens)
    const isEmpty = plan.requests.length === 0
    // A plan that computes nothing still tells who has left.
    this.#start(plan)
    const isFull = isEmpty || this.#started.length >= this.#runner.depth
    return isFull || !this.#scheduler.hasUnfinishedRequests() ? this.#collect() : null
  }

  #start(plan: SchedulePlan): void {
    const startedAt = this.#clock()
    this.#grammars?.begin(plan)
    const running = this.#runner.submit(plan)
    if (plan.requests.length === 0 && this.#started.length > 0) return
    const masks = this.#grammars?.masks(plan) ?? null
    this.#runner.sample(running, masks)
    this.#started.push({ plan, running, startedAt, failures: masks?.failures ?? NO_FAILURES })
  }

  #collect(): FinishedStep {
    const step = this.#started.shift()
    assert(step !== undefined, "no step is on its way")
    const result = this.#runner.collect(step.running)
    for (const [requestId, failure] of step.failures) (result.failures ??= new Map()).set(requestId, failure)
    const now = this.#clock()
    const seconds = now - Math.max(step.startedAt, this.#collectedAt)
    this.#collectedAt = now
    const outputs = this.#scheduler.updateFromOutput(step.plan, result)
    if (this.#speculator !== null) this.#scheduler.updateDraftTokens(this.#speculator.propose(step.plan, outputs))
    return { plan: step.plan, seconds, outputs }
  }
}

const NO_FAILURES: ReadonlyMap<string, RequestFailure> = new Map()
