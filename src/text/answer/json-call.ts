/**
 * Reads a call written as a JSON object: {"name": "f", "arguments": {...}}, keys in any order, "parameters" for
 * "arguments".
 *
 *   start -> key -> colon -> value -> next -> key ... -> done, or none
 *
 * The call begins when both its name and the start of its arguments are known; until then the text may be no call. From
 * then on arguments are given out as they are written.
 */
import { isSpace, JsonSpan } from "./json-span.ts"
import type { CallReader, CallSink, CallState } from "./tool-format.ts"

const ARGUMENTS: ReadonlySet<string> = new Set(["arguments", "parameters"])

type Step = "start" | "key" | "colon" | "value" | "next"

export interface JsonCallOptions {
  /** An object without arguments is a call of none, not something else. */
  readonly isCallWithoutArguments: boolean
}

export class JsonCallReader implements CallReader {
  state: CallState = "open"
  readonly #sink: CallSink
  readonly #options: JsonCallOptions
  #step: Step = "start"
  #span: JsonSpan | null = null
  /** The string being read, or arguments that came before the name. */
  #raw = ""
  #key = ""
  #name: string | null = null
  /** Null until there are any. */
  #earlyArguments: string | null = null
  #hasBegun = false

  constructor(sink: CallSink, options: JsonCallOptions) {
    this.#sink = sink
    this.#options = options
  }

  push(text: string): number {
    let i = 0
    while (i < text.length && this.state === "open") {
      if (this.#span !== null) i = this.#readSpan(this.#span, text, i)
      else if (isSpace(text[i]!)) i += 1
      else i += this.#readUnit(text[i]!)
    }
    return i
  }

  end(): void {
    const isCutOff = this.#hasBegun && this.#step === "value" && ARGUMENTS.has(this.#key)
    if (this.state === "open" && !isCutOff) this.#close()
  }

  /** Returns the units read: 0 where a value begins with this one, or the object breaks here. */
  #readUnit(unit: string): number {
    switch (this.#step) {
      case "start":
        return this.#expect(unit, "{", "key")
      case "key":
        if (unit === "}") return this.#finish()
        if (unit !== "\"") return this.#close()
        this.#span = new JsonSpan()
        return 0
      case "colon":
        return this.#expect(unit, ":", "value")
      case "value":
        this.#span = new JsonSpan()
        return 0
      case "next":
        return unit === "}" ? this.#finish() : this.#expect(unit, ",", "key")
    }
  }

  #expect(unit: string, wanted: string, step: Step): number {
    if (unit !== wanted) return this.#close()
    this.#step = step
    return 1
  }

  #readSpan(span: JsonSpan, text: string, from: number): number {
    const end = span.read(text, from)
    const piece = text.slice(from, end)
    if (this.#step === "value" && ARGUMENTS.has(this.#key)) {
      if (piece !== "") this.#addArguments(piece)
    } else if (this.#step === "key" || this.#key === "name") this.#raw += piece
    if (span.state === "broken") this.#close()
    if (span.state === "done") this.#endSpan()
    return end
  }

  #endSpan(): void {
    this.#span = null
    const raw = this.#raw
    this.#raw = ""
    if (this.#step === "key") {
      const key = parsedString(raw)
      if (key === null) this.#close()
      else this.#startValue(key)
      return
    }
    this.#step = "next"
    if (this.#key !== "name" || this.#name !== null) return
    this.#name = parsedString(raw)
    if (this.#name === null || this.#name === "") this.#close()
    else if (this.#earlyArguments !== null) this.#begin(this.#name, this.#earlyArguments)
  }

  /** Of the names for arguments the first counts. */
  #startValue(key: string): void {
    const isSecond = ARGUMENTS.has(key) && (this.#hasBegun || this.#earlyArguments !== null)
    this.#key = isSecond ? "" : key
    this.#step = "colon"
  }

  #addArguments(piece: string): void {
    if (this.#hasBegun) this.#sink.arguments(piece)
    else if (this.#name === null) this.#earlyArguments = (this.#earlyArguments ?? "") + piece
    else this.#begin(this.#name, piece)
  }

  #begin(name: string, json: string): void {
    this.#hasBegun = true
    this.#sink.call(name)
    this.#sink.arguments(json)
  }

  #finish(): number {
    const isBare = this.#name !== null && !this.#hasBegun && this.#options.isCallWithoutArguments
    if (isBare) this.#begin(this.#name!, "{}")
    this.#close()
    return 1
  }

  #close(): 0 {
    this.state = this.#hasBegun ? "done" : "none"
    this.#span = null
    return 0
  }
}

function parsedString(raw: string): string | null {
  try {
    const value: unknown = JSON.parse(raw)
    return typeof value === "string" ? value : null
  } catch {
    return null
  }
}
