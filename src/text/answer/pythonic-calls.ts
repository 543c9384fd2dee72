/**
 * Reads calls written as a list in Python: [f(a=1), g(b="x")].
 *
 *   start -> call -> key -> value -> next argument or call ... -> done, or none
 *
 * Arguments are given out one at a time. The list may be something else until its first argument, or its first call
 * without any, is complete.
 */
import { PythonSpan } from "./python-span.ts"
import { pythonToJson } from "./python-literal.ts"
import type { CallReader, CallSink, CallState } from "./tool-format.ts"

const NAME = /^[A-Za-z_][\w.]{0,255}$/

type Step = "start" | "name" | "key" | "value" | "next"

export class PythonicCallReader implements CallReader {
  state: CallState = "open"
  readonly #sink: CallSink
  #step: Step = "start"
  /** The name, key or value being read. */
  #raw = ""
  #name = ""
  #key = ""
  #span = new PythonSpan()
  #numArguments = 0
  #hasBegun = false

  constructor(sink: CallSink) {
    this.#sink = sink
  }

  push(text: string): number {
    let i = 0
    while (i < text.length && this.state === "open") {
      this.#readUnit(text[i]!)
      // What breaks the list off is not the list's.
      if (this.state !== "open" && text[i] !== "]") return i
      i += 1
    }
    return i
  }

  end(): void {
    const isCutOff = this.#hasBegun && this.#numArguments > 0 && (this.#step === "key" || this.#step === "value")
    if (this.state === "open" && !isCutOff) this.#close()
  }

  #readUnit(unit: string): void {
    switch (this.#step) {
      case "start":
        return unit === "[" ? this.#go("name") : this.#close()
      case "name":
        if (unit !== "(") return this.#readWord(unit)
        this.#name = this.#raw.trim()
        this.#numArguments = 0
        return this.#go("key")
      case "key":
        if (unit === ")" && this.#raw.trim() === "") return this.#endCall()
        if (unit !== "=") return this.#readWord(unit)
        this.#key = this.#raw.trim()
        return this.#key === "" ? this.#close() : this.#go("value")
      case "value":
        if (this.#span.isOutside && (unit === "," || unit === ")")) return this.#endValue(unit)
        this.#raw += unit
        return this.#span.push(unit) ? undefined : this.#close()
      case "next":
        if (unit === ",") return this.#go("name")
        if (unit === "]" || unit.trim() !== "") this.#close()
    }
  }

  #go(step: Step): void {
    this.#step = step
    this.#raw = ""
    this.#span = new PythonSpan()
  }

  /** A list may end behind a comma. */
  #readWord(unit: string): void {
    if (unit === "]" && this.#hasBegun && this.#step === "name" && this.#raw.trim() === "") return this.#close()
    this.#raw += unit
    const word = this.#raw.trim()
    if (word !== "" && !NAME.test(word)) this.#close()
  }

  #endValue(unit: string): void {
    const json = pythonToJson(this.#raw)
    if (json === null) return this.#close()
    if (this.#numArguments === 0) this.#begin()
    this.#sink.arguments(`${this.#numArguments === 0 ? "{" : ", "}${JSON.stringify(this.#key)}: ${json}`)
    this.#numArguments += 1
    if (unit === ",") this.#go("key")
    else this.#endCall()
  }

  #begin(): void {
    this.#hasBegun = true
    this.#sink.call(this.#name)
  }

  #endCall(): void {
    if (this.#numArguments === 0) this.#begin()
    this.#sink.arguments(this.#numArguments === 0 ? "{}" : "}")
    this.#go("next")
  }

  #close(): void {
    this.state = this.#hasBegun ? "done" : "none"
  }
}
