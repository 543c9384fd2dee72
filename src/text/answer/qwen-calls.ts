/**
 * Reads a call written with tags, as Qwen3-Coder does; <tool_call> around it may be missing:
 *
 *   <tool_call><function=NAME><parameter=KEY>VALUE</parameter> ... </function></tool_call>
 *
 *   start -> name -> between -> key -> value -> between ... -> done, or none
 *
 * Values are texts; the tool's schema says what they are as JSON. Each loses one line break at either end.
 */
import { MarkerSet } from "../marker-scanner.ts"
import { MarkedText } from "./marked-text.ts"
import { isAlwaysString, jsonValue, parameterSchema } from "./schema-values.ts"
import type { CallReader, CallState, ReaderContext } from "./tool-format.ts"

const FUNCTION = "<function="
const PARAMETER = "<parameter="
const PARAMETER_END = "</parameter>"
const FUNCTION_END = "</function>"
const MAX_NAME = 256

type Step = "start" | "name" | "between" | "key" | "value"

const MARKERS: Readonly<Record<Step, MarkerSet>> = {
  start: new MarkerSet([FUNCTION]),
  name: new MarkerSet([">"]),
  between: new MarkerSet([PARAMETER, FUNCTION_END, "</tool_call>"]),
  key: new MarkerSet([">"]),
  value: new MarkerSet([PARAMETER_END, PARAMETER, FUNCTION_END]),
}

export class QwenCallReader implements CallReader {
  state: CallState = "open"
  readonly #context: ReaderContext
  readonly #text: MarkedText
  #step: Step
  /** The name or key being read, or a value as far as it is not given out. */
  #raw = ""
  #name = ""
  #schema: Readonly<Record<string, unknown>> | null = null
  #numParameters = 0
  #isValueStart = false
  #isStreamed = false

  constructor(context: ReaderContext) {
    this.#context = context
    this.#step = context.opener === FUNCTION ? "name" : "start"
    this.#text = new MarkedText(MARKERS[this.#step])
  }

  push(text: string): number {
    let at = 0
    while (at < text.length && this.state === "open") {
      const piece = this.#text.read(text.slice(at))
      at += piece.end
      this.#add(piece.text)
      if (this.state === "open" && piece.marker >= 0) this.#pass(MARKERS[this.#step].markers[piece.marker]!)
    }
    return at
  }

  /** Between two parameters the call is whole. */
  end(): void {
    if (this.state !== "open") return
    this.#add(this.#text.takeHeld())
    if (this.#step === "between") this.#finish()
    else if (this.#name === "") this.state = "none"
  }

  #go(step: Step): void {
    this.#step = step
    this.#text.restart(MARKERS[step])
    this.#raw = ""
  }

  /** Text of the step that goes on. */
  #add(text: string): void {
    switch (this.#step) {
      case "start":
        if (text.trim() !== "") this.state = "none"
        return
      case "name":
        this.#raw += text
        if (this.#raw.length > MAX_NAME || /[<\n]/.test(this.#raw)) this.state = "none"
        return
      case "key":
        this.#raw += text
        return
      case "value":
        this.#addValue(text)
        return
      case "between":
    }
  }

  #pass(marker: string): void {
    switch (this.#step) {
      case "start":
        return this.#go("name")
      case "name":
        return this.#begin()
      case "key":
        return this.#beginValue(this.#raw)
      case "value":
        this.#endValue()
        return marker === PARAMETER ? this.#go("key") : marker === FUNCTION_END ? this.#finish() : this.#go("between")
      case "between":
        return marker === PARAMETER ? this.#go("key") : this.#finish()
    }
  }

  #begin(): void {
    this.#name = this.#raw.trim()
    if (this.#name === "") {
      this.state = "none"
      return
    }
    this.#context.sink.call(this.#name)
    this.#go("between")
  }

  #beginValue(key: string): void {
    const { sink, tools } = this.#context
    this.#schema = parameterSchema(tools.get(this.#name), key)
    this.#isStreamed = isAlwaysString(this.#schema)
    this.#isValueStart = true
    sink.arguments(`${this.#numParameters === 0 ? "{" : ", "}${JSON.stringify(key)}: ${this.#isStreamed ? "\"" : ""}`)
    this.#numParameters += 1
    this.#go("value")
  }

  #addValue(text: string): void {
    if (text === "") return
    this.#raw += this.#isValueStart && text.startsWith("\n") ? text.slice(1) : text
    this.#isValueStart = false
    if (!this.#isStreamed) return
    // The line break before the end tag is not the value's.
    const end = this.#raw.endsWith("\n") ? this.#raw.length - 1 : this.#raw.length
    if (end > 0) this.#context.sink.arguments(escaped(this.#raw.slice(0, end)))
    this.#raw = this.#raw.slice(end)
  }

  #endValue(): void {
    const value = this.#raw.endsWith("\n") ? this.#raw.slice(0, -1) : this.#raw
    this.#context.sink.arguments(this.#isStreamed ? "\"" : jsonValue(value, this.#schema))
  }

  #finish(): void {
    this.#context.sink.arguments(this.#numParameters === 0 ? "{}" : "}")
    this.state = "done"
  }
}

/** As part of a JSON string. */
function escaped(text: string): string {
  return JSON.stringify(text).slice(1, -1)
}
