/**
 * Keeps the thread that answers requests free of long work: little is done here, at once; more than that on another
 * thread. Many small pieces are as long as a large one, so what counts is how much has been done in the last
 * milliseconds, whoever asked for it.
 */
import type { JsonLimits } from "../../base/json-scan.ts"
import type { BodyShape } from "../http/body-schemas.ts"
import type { ConversationJob, RenderedConversation } from "../chat/conversation-job.ts"
import type { ParsedBody } from "../http/parse-body.ts"
import { dataSize } from "./data-size.ts"
import type { TextThreads, TextWork, TokenizeOptions } from "./text-work.ts"

/** Bytes of a body, UTF-16 units of a text, or tokens that are worked on here at once: a few milliseconds at most. */
export const MAX_WORK_HERE = 32 * 1024
/** How long it takes until as much may be done again: most of the time is left for others. */
const REST_MS = 20

export class OffloadedTextWork implements TextWork {
  readonly #here: TextWork
  readonly #away: TextThreads
  /** Since the last rest. */
  #done = 0

  constructor(here: TextWork, away: TextThreads) {
    this.#here = here
    this.#away = away
  }

  parse(bytes: Uint8Array, shapes: readonly BodyShape[], limits: JsonLimits): Promise<ParsedBody> {
    return (this.#isDoneHere(bytes.length) ? this.#here : this.#away.texts).parse(bytes, shapes, limits)
  }

  render(job: ConversationJob): Promise<RenderedConversation> {
    // Of a template that came with a request nothing tells how long it takes.
    const { messages, input, template } = job
    const size = template.isModels ? dataSize([messages, input], MAX_WORK_HERE) : Infinity
    return (this.#isDoneHere(size) ? this.#here : this.#away.templates).render(job)
  }

  encode(text: string, addSpecialTokens: boolean): Promise<readonly number[]> {
    return (this.#isDoneHere(text.length) ? this.#here : this.#away.texts).encode(text, addSpecialTokens)
  }

  count(text: string, addSpecialTokens: boolean): Promise<number> {
    return (this.#isDoneHere(text.length) ? this.#here : this.#away.texts).count(text, addSpecialTokens)
  }

  tokenize(text: string, options: TokenizeOptions): Promise<Uint8Array<ArrayBuffer>> {
    return (this.#isDoneHere(text.length) ? this.#here : this.#away.texts).tokenize(text, options)
  }

  decode(tokenIds: readonly number[]): Promise<string> {
    return (this.#isDoneHere(tokenIds.length) ? this.#here : this.#away.texts).decode(tokenIds)
  }

  /** Whether work of this size is done on this thread; it counts as done then. */
  #isDoneHere(size: number): boolean {
    if (this.#done + size > MAX_WORK_HERE) return false
    if (this.#done === 0 && size > 0) setTimeout(() => (this.#done = 0), REST_MS)
    this.#done += size
    return true
  }
}
