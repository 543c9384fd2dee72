/**
 * Stops and starts the engine's work by hand, and gives its memory back meanwhile.
 *
 *   running --pause--> paused --resume--> running
 *      \--sleep--------/--sleep--> asleep --wakeUp--> running
 *
 * Requests that come in while it does not run are queued. Whoever pauses waits until the engine has come to rest.
 */
import { RequestError } from "../base/errors.ts"
import { EngineDeadError } from "./engine-client.ts"
import type { EngineControl, PauseMode, SleepLevel } from "./engine-client.ts"
import type { EngineCoreCalls } from "./engine-core-port.ts"

export interface EngineControlDeps {
  /** Errors: `EngineDeadError`, or the words of what went wrong. */
  call<K extends keyof EngineCoreCalls>(name: K, ...args: Parameters<EngineCoreCalls[K]>): Promise<boolean>
  /** Ends live requests with what they have, those whose id fits. Returns how many. */
  abort(isMeant: (requestId: string) => boolean): number
  onSleep(level: SleepLevel | null): void
  /** Runs `how`, and tells the metrics how long it took. */
  measured(operation: "sleep" | "wake", how: () => Promise<void>): Promise<void>
}

export class EngineController implements EngineControl {
  readonly #deps: EngineControlDeps
  #isPaused = false
  #sleepLevel: SleepLevel | null = null
  /** Falling asleep or waking up. */
  #isMoving = false

  constructor(deps: EngineControlDeps) {
    this.#deps = deps
  }

  get isPaused(): boolean {
    return this.#isPaused
  }

  get isSleeping(): boolean {
    return this.#sleepLevel !== null
  }

  /** The engine was started anew: it runs. */
  reset(): void {
    this.#isPaused = false
    this.#setSleep(null)
  }

  async pause(mode: PauseMode, clearCache: boolean): Promise<void> {
    this.#checkAwake()
    this.#isPaused = true
    if (mode === "abort") this.#deps.abort(() => true)
    const isAtRest = await this.#deps.call("pause", mode === "keep" ? "paused_all" : "paused_new")
    if (!isAtRest) throw conflict("The engine was resumed before it had come to rest.")
    if (clearCache) await this.#deps.call("resetPrefixCache", true)
  }

  async resume(): Promise<void> {
    this.#checkAwake()
    this.#isPaused = false
    await this.#deps.call("resume")
  }

  async sleep(level: SleepLevel, mode: PauseMode): Promise<void> {
    if (this.#sleepLevel === level) return
    this.#checkAwake()
    await this.#move("sleep", async () => {
      await this.pause(mode, level === 2)
      if (level !== 0) await this.#deps.call("sleep", level)
      this.#setSleep(level)
    })
  }

  async wakeUp(): Promise<void> {
    if (this.#sleepLevel === null) return
    await this.#move("wake", async () => {
      if (this.#sleepLevel !== 0) await this.#deps.call("wakeUp").catch(refuseToWake)
      this.#setSleep(null)
      await this.resume()
    })
  }

  abort(isMeant: (requestId: string) => boolean): number {
    return this.#deps.abort(isMeant)
  }

  resetPrefixCache(resetRunning: boolean): Promise<boolean> {
    return this.#deps.call("resetPrefixCache", resetRunning)
  }

  #setSleep(level: SleepLevel | null): void {
    this.#sleepLevel = level
    this.#deps.onSleep(level)
  }

  #checkAwake(): void {
    if (this.#sleepLevel !== null) throw conflict(`The engine sleeps at level ${this.#sleepLevel}: wake it up first.`)
  }

  async #move(operation: "sleep" | "wake", how: () => Promise<void>): Promise<void> {
    if (this.#isMoving) throw conflict("The engine is falling asleep or waking up: please try again later.")
    this.#isMoving = true
    try {
      await this.#deps.measured(operation, how)
    } finally {
      this.#isMoving = false
    }
  }
}

function conflict(message: string): RequestError {
  return new RequestError(message, { status: 409, type: "ConflictError" })
}

function refuseToWake(error: Error): never {
  if (error instanceof EngineDeadError) throw error
  throw new RequestError(`The engine cannot wake up: ${error.message}`, {
    status: 503, type: "ServiceUnavailableError",
  })
}
