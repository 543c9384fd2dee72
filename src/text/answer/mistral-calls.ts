/**
 * Reads Mistral's calls behind [TOOL_CALLS], in all their forms: name[ARGS]{...}, name{...}, and the older
 * [{"name": ..., "arguments": ...}, ...] or such an object alone.
 */
import { JsonCallReader } from "./json-call.ts"
import { isSpace, JsonSpan } from "./json-span.ts"
import type { CallReader, CallSink, CallState } from "./tool-format.ts"

const ARGS = "[ARGS]"
const NAME = /^[\w.:/-]{1,256}$/

type Step = "start" | "name" | "arguments" | "object" | "element" | "next"

export class MistralCallReader implements CallReader {
  state: CallState = "open"
  readonly #sink: CallSink
  #step: Step = "start"
  #text = ""
  #name = ""
  #span: JsonSpan | null = null
  #object: JsonCallReader | null = null
  #hasBegun = false

  constructor(sink: CallSink) {
    this.#sink = sink
  }

  push(text: string): number {
    let i = 0
    while (i < text.length && this.state === "open") {
      if (this.#object !== null) i += this.#readObject(this.#object, text.slice(i))
      else if (this.#span !== null) i = this.#readArguments(this.#span, text, i)
      else if (isSpace(text[i]!) && this.#step !== "name") i += 1
      else i += this.#readUnit(text[i]!)
    }
    return i
  }

  end(): void {
    if (this.state !== "open") return
    this.#object?.end()
    const isCutOff = this.#object === null ? this.#span !== null : this.#object.state === "open"
    if (this.#object?.state === "done") this.#hasBegun = true
    if (!isCutOff) this.#close()
  }

  /** Returns the units read. */
  #readUnit(unit: string): number {
    switch (this.#step) {
      case "start":
        if (unit === "[") return this.#go("element")
        this.#step = unit === "{" ? "object" : "name"
        if (unit === "{") this.#startObject()
        return 0
      case "name":
        return this.#readName(unit)
      case "arguments":
        this.#hasBegun = true
        this.#sink.call(this.#name)
        this.#span = new JsonSpan()
        return 0
      case "element":
        if (unit !== "{") return this.#close()
        this.#startObject()
        return 0
      default:
        if (unit === ",") return this.#go("element")
        this.#close()
        return unit === "]" ? 1 : 0
    }
  }

  #go(step: Step): 1 {
    this.#step = step
    return 1
  }

  #startObject(): void {
    this.#object = new JsonCallReader(this.#sink, { isCallWithoutArguments: true })
  }

  #readObject(object: JsonCallReader, text: string): number {
    const numRead = object.push(text)
    if (object.state === "open") return numRead
    this.#object = null
    if (object.state === "done") this.#hasBegun = true
    if (object.state === "none" || this.#step === "object") this.#close()
    else this.#step = "next"
    return numRead
  }

  /** Up to "[ARGS]" or the arguments' own bracket. */
  #readName(unit: string): number {
    if (unit === "{" && !this.#text.includes("[")) return this.#endName(this.#text, 0)
    this.#text += unit
    if (this.#text.endsWith(ARGS)) return this.#endName(this.#text.slice(0, -ARGS.length), 1)
    const bracket = this.#text.indexOf("[")
    const name = bracket < 0 ? this.#text : this.#text.slice(0, bracket)
    const isOpen = NAME.test(name.trimEnd()) && (bracket < 0 || ARGS.startsWith(this.#text.slice(bracket)))
    return isOpen ? 1 : this.#close()
  }

  #endName(name: string, numRead: 0 | 1): number {
    this.#name = name.trimEnd()
    if (this.#name === "") return this.#close()
    this.#step = "arguments"
    return numRead
  }

  #readArguments(span: JsonSpan, text: string, from: number): number {
    const end = span.read(text, from)
    if (end > from) this.#sink.arguments(text.slice(from, end))
    if (span.state !== "open") this.#close()
    return end
  }

  #close(): 0 {
    this.state = this.#hasBegun ? "done" : "none"
    return 0
  }
}
