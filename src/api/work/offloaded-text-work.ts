/**
 * Keeps the thread that answers requests free of long work: little is done here, at once; more than that on another
 * thread. Many small pieces are as long as a large one, so what counts is how much has been done in this turn of the
 * event loop, whoever asked for it.
 */
import type { JsonLimits } from "../../base/json-scan.ts"
import type { BodyShape } from "../body-schemas.ts"
import type { ParsedBody } from "../parse-body.ts"
import type { TextWork } from "./text-work.ts"

/** Bytes of a body, UTF-16 units of a text, or tokens that a turn may work on here: a few milliseconds at the most. */
export const MAX_WORK_PER_TURN = 32 * 1024

export class OffloadedTextWork implements TextWork {
  readonly #here: TextWork
  readonly #away: TextWork
  /** In this turn of the event loop. */
  #done = 0

  constructor(here: TextWork, away: TextWork) {
    this.#here = here
    this.#away = away
  }

  parse(bytes: Uint8Array, shapes: readonly BodyShape[], limits: JsonLimits): Promise<ParsedBody> {
    return this.#placeFor(bytes.length).parse(bytes, shapes, limits)
  }

  encode(text: string, addSpecialTokens: boolean): Promise<readonly number[]> {
    return this.#placeFor(text.length).encode(text, addSpecialTokens)
  }

  decode(tokenIds: readonly number[]): Promise<string> {
    return this.#placeFor(tokenIds.length).decode(tokenIds)
  }

  #placeFor(size: number): TextWork {
    if (this.#done + size > MAX_WORK_PER_TURN) return this.#away
    if (this.#done === 0 && size > 0) setImmediate(() => (this.#done = 0))
    this.#done += size
    return this.#here
  }
}
