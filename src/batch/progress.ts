/** How far a batch is: one line that is written over and over on a terminal, a line now and then elsewhere. */

export interface BatchCounts {
  /** Null where the input is not a file. */
  readonly numTotal: number | null
  /** Done before this run. */
  readonly numSkipped: number
  numDone: number
  /** Of those done, the ones without an answer. */
  numFailed: number
  numPromptTokens: number
  numOutputTokens: number
}

export interface ProgressOptions {
  readonly isTerminal: boolean
  readonly write: (text: string) => void
  /** Seconds, never going back. */
  readonly now: () => number
}

const TERMINAL_SECONDS = 0.2
const PLAIN_SECONDS = 30
const CLEAR_LINE = "\r\x1b[K"

export class Progress {
  readonly #options: ProgressOptions
  readonly #start: number
  #lastTime: number

  constructor(options: ProgressOptions) {
    this.#options = options
    this.#start = options.now()
    this.#lastTime = this.#start
  }

  /** Called after each result. */
  update(counts: BatchCounts): void {
    const { isTerminal, now, write } = this.#options
    const time = now()
    if (time - this.#lastTime < (isTerminal ? TERMINAL_SECONDS : PLAIN_SECONDS)) return
    this.#lastTime = time
    const line = this.#describe(counts, time - this.#start)
    write(isTerminal ? `${CLEAR_LINE}${line}` : `${line}\n`)
  }

  /** The last word; `isStopped`: there was more to do. */
  finish(counts: BatchCounts, isStopped: boolean): void {
    const { isTerminal, now, write } = this.#options
    const line = this.#describe(counts, now() - this.#start)
    const more = isStopped ? "; stopped: the same command goes on from here" : ""
    write(`${isTerminal ? CLEAR_LINE : ""}${line}${more}\n`)
  }

  #describe(counts: BatchCounts, seconds: number): string {
    const { numTotal, numSkipped, numDone, numFailed, numOutputTokens, numPromptTokens } = counts
    const all = numSkipped + numDone
    const left = numTotal === null ? null : numTotal - all
    const perSecond = (numPromptTokens + numOutputTokens) / Math.max(seconds, 1e-3)
    return [
      `${all}${numTotal === null ? "" : ` of ${numTotal}`} done`,
      ...(numSkipped > 0 ? [`${numSkipped} before`] : []),
      ...(numFailed > 0 ? [`${numFailed} failed`] : []),
      `${numPromptTokens} + ${numOutputTokens} tokens, ${perSecond.toFixed(0)}/s`,
      duration(seconds),
      ...(left !== null && left > 0 && numDone > 0 ? [`about ${duration((seconds / numDone) * left)} left`] : []),
    ].join(", ")
  }
}

function duration(seconds: number): string {
  const whole = Math.round(seconds)
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60]
  if (hours > 0) return `${hours} h ${minutes} min`
  return minutes > 0 ? `${minutes} min ${whole % 60} s` : `${whole} s`
}
