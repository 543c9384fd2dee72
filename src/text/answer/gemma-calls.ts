/**
 * Reads a call as FunctionGemma and Gemma 4 write it, call:NAME{key:VALUE,...}, and gives its arguments out as JSON.
 * Keys have no quotes, strings stand between two quote marks without escapes, all other values are those of JSON.
 *
 *   start -> name -> key -> value -> string or bare -> next -> key or value ... -> done, or none
 *
 * The call begins at the brace of its arguments; until then the text may be no call.
 */
import { isJson, isSpace } from "./json-span.ts"
import type { CallReader, CallSink, CallState } from "./tool-format.ts"

const CALL = "call:"
const NAME = /^[\w.:/-]{1,256}$/

type Step = "start" | "name" | "key" | "value" | "string" | "bare" | "next"

export class GemmaCallReader implements CallReader {
  state: CallState = "open"
  readonly #quote: string
  readonly #sink: CallSink
  #step: Step = "start"
  /** The mark, name, key or bare value being read; within a string the end of it that may be a quote mark. */
  #raw = ""
  /** The certain text of a string that has not been given out. */
  #text = ""
  /** JSON that has not been given out. */
  #json = ""
  /** The brackets that are open, the innermost last. */
  readonly #open: ("{" | "[")[] = []
  #needsComma = false

  constructor(quote: string, sink: CallSink) {
    this.#quote = quote
    this.#sink = sink
  }

  push(text: string): number {
    let i = 0
    while (i < text.length && this.state === "open") i += this.#readUnit(text[i]!)
    this.#giveOut()
    return i
  }

  end(): void {
    if (this.state !== "open") return
    if (this.#open.length === 0) this.state = "none"
    if (this.#step === "string") this.#text += this.#raw
    if (this.#step === "bare") this.#json += this.#raw
    this.#giveOut()
  }

  #giveOut(): void {
    this.#flushText()
    if (this.#json !== "") this.#sink.arguments(this.#json)
    this.#json = ""
  }

  #flushText(): void {
    this.#json += JSON.stringify(this.#text).slice(1, -1)
    this.#text = ""
  }

  /** Returns the units read: 0 where this one ends what precedes it, or the call breaks here. */
  #readUnit(unit: string): 0 | 1 {
    switch (this.#step) {
      case "start":
        if (this.#raw === "" && isSpace(unit)) return 1
        this.#raw += unit
        if (!CALL.startsWith(this.#raw)) return this.#close("none")
        return this.#raw === CALL ? this.#go("name") : 1
      case "name":
        return this.#readName(unit)
      case "key":
        return this.#readKey(unit)
      case "value":
        return this.#readValue(unit)
      case "string":
        return this.#readString(unit)
      case "bare":
        if (",}]".includes(unit)) return this.#endBare()
        this.#raw += unit
        return 1
      case "next":
        return this.#readNext(unit)
    }
  }

  #go(step: Step): 1 {
    this.#step = step
    this.#raw = ""
    return 1
  }

  #readName(unit: string): 0 | 1 {
    if (unit !== "{") {
      this.#raw += unit
      return NAME.test(this.#raw) ? 1 : this.#close("none")
    }
    if (this.#raw === "") return this.#close("none")
    this.#sink.call(this.#raw)
    return this.#openBracket("{")
  }

  #openBracket(bracket: "{" | "["): 1 {
    this.#open.push(bracket)
    this.#json += bracket
    this.#needsComma = false
    return this.#go(bracket === "{" ? "key" : "value")
  }

  #closeBracket(unit: string): 0 | 1 {
    if (this.#open.pop() !== (unit === "}" ? "{" : "[")) return this.#close("done")
    this.#json += unit
    this.#needsComma = true
    if (this.#open.length === 0) this.#close("done")
    return this.#go("next")
  }

  #readKey(unit: string): 0 | 1 {
    if (unit === "}" && this.#raw.trim() === "") return this.#closeBracket(unit)
    if (unit !== ":") {
      this.#raw += unit
      return 1
    }
    this.#addComma()
    this.#json += `${JSON.stringify(this.#unquoted(this.#raw.trim()))}: `
    this.#needsComma = false
    return this.#go("value")
  }

  /** A key that a model wrote as a string. */
  #unquoted(key: string): string {
    const quote = this.#quote
    const isQuoted = key.length >= 2 * quote.length && key.startsWith(quote) && key.endsWith(quote)
    return isQuoted ? key.slice(quote.length, -quote.length) : key
  }

  #readValue(unit: string): 0 | 1 {
    if (this.#raw === "") {
      if (isSpace(unit)) return 1
      if (unit === "]") return this.#closeBracket(unit)
      this.#addComma()
      if (unit === "{" || unit === "[") return this.#openBracket(unit)
    }
    if (!this.#quote.startsWith(this.#raw + unit)) {
      this.#step = "bare"
      return 0
    }
    this.#raw += unit
    if (this.#raw !== this.#quote) return 1
    this.#json += "\""
    return this.#go("string")
  }

  #readString(unit: string): 1 {
    this.#raw += unit
    if (this.#raw === this.#quote) {
      this.#flushText()
      this.#json += "\""
      return this.#endValue()
    }
    let numCertain = 0
    while (!this.#quote.startsWith(this.#raw.slice(numCertain))) numCertain += 1
    this.#text += this.#raw.slice(0, numCertain)
    this.#raw = this.#raw.slice(numCertain)
    return 1
  }

  /** What is no value of JSON is a string without its marks. */
  #endBare(): 0 {
    const value = this.#raw.trim()
    this.#json += isJson(value) ? value : JSON.stringify(value)
    this.#endValue()
    return 0
  }

  #endValue(): 1 {
    this.#needsComma = true
    return this.#go("next")
  }

  #readNext(unit: string): 0 | 1 {
    if (isSpace(unit)) return 1
    if (unit === ",") return this.#go(this.#open.at(-1) === "{" ? "key" : "value")
    return unit === "}" || unit === "]" ? this.#closeBracket(unit) : this.#close("done")
  }

  #addComma(): void {
    if (this.#needsComma) this.#json += ", "
    this.#needsComma = false
  }

  #close(state: "done" | "none"): 0 {
    this.state = state
    return 0
  }
}
