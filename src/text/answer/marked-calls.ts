/**
 * Reads a call of JSON arguments between marks: BEGIN PREFIX name SEPARATOR {...} FENCE. A section mark may precede the
 * first call. What closes a call or the section is among the format's closers.
 *
 *   start -> prefix -> name -> arguments -> fence -> done, or none
 *
 * The call begins at the brace of its arguments; until then the text may be no call.
 */
import { isSpace, JsonSpan } from "./json-span.ts"
import type { CallReader, CallState, ReaderContext } from "./tool-format.ts"

const MAX_NAME = 256
const NAME = /^[^<\n]+$/

export interface CallMarks {
  readonly begin: string
  /** Between `begin` and the name. */
  readonly prefix: string
  readonly separator: string
  /** Follows the arguments, and is not text. */
  readonly fence: string
  /** The name of the function in what stands before the separator. */
  readonly nameOf?: (head: string) => string
}

type Step = "start" | "prefix" | "name" | "arguments" | "fence"

export class MarkedCallReader implements CallReader {
  state: CallState = "open"
  readonly #marks: CallMarks
  readonly #sink: ReaderContext["sink"]
  #step: Step
  /** What has been read of a mark or a name. */
  #raw = ""
  #name = ""
  #span: JsonSpan | null = null

  constructor(marks: CallMarks, { opener, sink }: ReaderContext) {
    this.#marks = marks
    this.#sink = sink
    this.#step = opener === marks.begin ? this.#behindBegin() : "start"
  }

  push(text: string): number {
    let i = 0
    while (i < text.length && this.state === "open") {
      if (this.#span === null) i += this.#readUnit(text[i]!)
      else i = this.#readArguments(this.#span, text, i)
    }
    return i
  }

  end(): void {
    if (this.state !== "open" || this.#span !== null) return
    this.state = this.#step === "fence" ? "done" : "none"
  }

  /** Returns the units read. */
  #readUnit(unit: string): 0 | 1 {
    switch (this.#step) {
      case "start":
        return this.#raw === "" && isSpace(unit) ? 1 : this.#readMark(unit, this.#marks.begin, this.#behindBegin())
      case "prefix":
        return this.#readMark(unit, this.#marks.prefix, "name")
      case "name":
        return this.#readName(unit)
      case "arguments":
        if (isSpace(unit)) return 1
        if (unit !== "{") return this.#close("none")
        this.#sink.call(this.#name)
        this.#span = new JsonSpan()
        return 0
      case "fence":
        return this.#readFence(unit)
    }
  }

  #behindBegin(): Step {
    return this.#marks.prefix === "" ? "name" : "prefix"
  }

  #readMark(unit: string, mark: string, next: Step): 0 | 1 {
    this.#raw += unit
    if (!mark.startsWith(this.#raw)) return this.#close("none")
    if (this.#raw.length === mark.length) this.#go(next)
    return 1
  }

  #readName(unit: string): 0 | 1 {
    const { separator, nameOf = (head) => head } = this.#marks
    this.#raw += unit
    if (this.#raw.endsWith(separator)) {
      this.#name = nameOf(this.#raw.slice(0, -separator.length).trim())
      if (!NAME.test(this.#name)) return this.#close("none")
      this.#go("arguments")
      return 1
    }
    return this.#raw.length > MAX_NAME + separator.length ? this.#close("none") : 1
  }

  #readArguments(span: JsonSpan, text: string, from: number): number {
    const end = span.read(text, from)
    if (end > from) this.#sink.arguments(text.slice(from, end))
    if (span.state === "open") return end
    this.#span = null
    if (span.state === "broken" || this.#marks.fence === "") this.#close("done")
    else this.#go("fence")
    return end
  }

  #readFence(unit: string): 0 | 1 {
    const { fence } = this.#marks
    if (this.#raw === "" && isSpace(unit)) return 1
    if (!fence.startsWith(this.#raw + unit)) return this.#close("done")
    this.#raw += unit
    if (this.#raw.length === fence.length) this.#close("done")
    return 1
  }

  #go(step: Step): void {
    this.#step = step
    this.#raw = ""
  }

  #close(state: "done" | "none"): 0 {
    this.state = state
    return 0
  }
}
