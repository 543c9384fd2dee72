/** Offers requests at their times, with so many on their way at once at most. */
import type { Outcome } from "./request.ts"

/**
 * `send(i, queueMs)` runs when request i is due and has a place; times in seconds from now. Resolves when all are done.
 */
export async function offerLoad(
  times: readonly number[], maxConcurrency: number | null, send: (i: number, queueMs: number) => Promise<Outcome>,
): Promise<Outcome[]> {
  const places = new Places(maxConcurrency ?? Infinity)
  const started = performance.now()
  const one = async (i: number): Promise<Outcome> => {
    const dueMs = performance.now()
    await places.take()
    try {
      return await send(i, performance.now() - dueMs)
    } finally {
      places.leave()
    }
  }
  const running: Promise<Outcome>[] = []
  for (const [i, time] of times.entries()) {
    const wait = started + time * 1000 - performance.now()
    if (wait > 0) await Bun.sleep(wait)
    running.push(one(i))
  }
  return Promise.all(running)
}

/** A semaphore; those who wait get their place in order. */
class Places {
  #free: number
  readonly #waiting: (() => void)[] = []

  constructor(count: number) {
    this.#free = count
  }

  async take(): Promise<void> {
    if (this.#free > 0) this.#free--
    else await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }

  leave(): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#free++
    else next()
  }
}
