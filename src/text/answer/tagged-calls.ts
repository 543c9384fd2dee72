/**
 * Reads a call written with tags; the mark around it may be missing where the call has one of its own:
 *
 *   Qwen3-Coder   <tool_call><function=NAME><parameter=KEY>VALUE</parameter> ... </function></tool_call>
 *   MiniMax-M2    <minimax:tool_call><invoke name="NAME"><parameter name="KEY">VALUE</parameter> ... </invoke>
 *   GLM           <tool_call>NAME<arg_key>KEY</arg_key><arg_value>VALUE</arg_value> ... </tool_call>
 *
 *   start -> name -> between -> key -> gap -> value -> between ... -> done, or none
 *
 * Values are texts; the tool's schema says what they are as JSON.
 */
import { MarkerSet } from "../marker-scanner.ts"
import { MarkedText } from "./marked-text.ts"
import { isAlwaysString, jsonValue, parameterSchema } from "./schema-values.ts"
import type { CallReader, CallState, ReaderContext } from "./tool-format.ts"

const MAX_NAME = 256

export interface CallTags {
  /** Null: the name follows the opener. */
  readonly callStart: string | null
  /** Null: the first key, or the end of the call, ends the name. */
  readonly nameEnd: string | null
  readonly notInName: RegExp
  readonly callEnd: string
  /** Of the mark around the call, which ends it too; null where there is none. */
  readonly outerEnd: string | null
  readonly key: string
  readonly keyEnd: string
  /** Null: the value follows the key's end. */
  readonly valueStart: string | null
  /** The end tag, and other tags that end a value where a model forgets that one. */
  readonly valueEnds: readonly string[]
  /** A value loses one line break at either end. */
  readonly hasValueBreaks: boolean
}

export const QWEN_TAGS: CallTags = {
  callStart: "<function=", nameEnd: ">", notInName: /[<\n]/, callEnd: "</function>", outerEnd: "</tool_call>",
  key: "<parameter=", keyEnd: ">", valueStart: null, valueEnds: ["</parameter>", "<parameter=", "</function>"],
  hasValueBreaks: true,
}

export const MINIMAX_TAGS: CallTags = {
  callStart: "<invoke name=\"", nameEnd: "\">", notInName: /[<\n]/, callEnd: "</invoke>",
  outerEnd: "</minimax:tool_call>", key: "<parameter name=\"", keyEnd: "\">", valueStart: null,
  valueEnds: ["</parameter>"], hasValueBreaks: false,
}

export const GLM_TAGS: CallTags = {
  callStart: null, nameEnd: null, notInName: /\S\s+\S|[<{"']/, callEnd: "</tool_call>", outerEnd: null,
  key: "<arg_key>", keyEnd: "</arg_key>", valueStart: "<arg_value>", valueEnds: ["</arg_value>"], hasValueBreaks: false,
}

type Step = "start" | "name" | "between" | "key" | "gap" | "value"
type StepMarkers = Readonly<Record<Step, MarkerSet>>

/** Made once for each syntax, and shared by its readers. */
export function taggedCallReaders(tags: CallTags): (context: ReaderContext) => CallReader {
  const { callStart, nameEnd, callEnd, outerEnd, key, keyEnd, valueStart, valueEnds } = tags
  const markers: StepMarkers = {
    start: markerSet(callStart),
    name: nameEnd === null ? markerSet(key, callEnd) : markerSet(nameEnd),
    between: markerSet(key, callEnd, outerEnd),
    key: markerSet(keyEnd),
    gap: markerSet(valueStart),
    value: markerSet(...valueEnds),
  }
  return (context) => new TaggedCallReader(tags, markers, context)
}

function markerSet(...markers: readonly (string | null)[]): MarkerSet {
  return new MarkerSet(markers.filter((marker) => marker !== null))
}

class TaggedCallReader implements CallReader {
  state: CallState = "open"
  readonly #tags: CallTags
  readonly #markers: StepMarkers
  readonly #context: ReaderContext
  readonly #text: MarkedText
  #step: Step
  /** The name or key being read, or a value as far as it is not given out. */
  #raw = ""
  #name = ""
  #key = ""
  #schema: Readonly<Record<string, unknown>> | null = null
  #numParameters = 0
  #isValueStart = false
  #isStreamed = false

  constructor(tags: CallTags, markers: StepMarkers, context: ReaderContext) {
    this.#tags = tags
    this.#markers = markers
    this.#context = context
    this.#step = tags.callStart === null || context.opener === tags.callStart ? "name" : "start"
    this.#text = new MarkedText(markers[this.#step])
  }

  push(text: string): number {
    let at = 0
    while (at < text.length && this.state === "open") {
      const piece = this.#text.read(text.slice(at))
      at += piece.end
      this.#add(piece.text)
      if (this.state === "open" && piece.marker >= 0) this.#pass(this.#markers[this.#step].markers[piece.marker]!)
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
    this.#text.restart(this.#markers[step])
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
        if (this.#raw.length > MAX_NAME || this.#tags.notInName.test(this.#raw)) this.state = "none"
        return
      case "key":
        this.#raw += text
        return
      case "value":
        this.#addValue(text)
        return
      case "gap":
      case "between":
    }
  }

  #pass(marker: string): void {
    switch (this.#step) {
      case "start":
        return this.#go("name")
      case "name":
        return this.#begin(marker)
      case "key":
        this.#key = this.#raw
        return this.#tags.valueStart === null ? this.#beginValue() : this.#go("gap")
      case "gap":
        return this.#beginValue()
      case "value":
        this.#endValue()
        return marker === this.#tags.valueEnds[0] ? this.#go("between") : this.#passTag(marker)
      case "between":
        return this.#passTag(marker)
    }
  }

  #passTag(marker: string): void {
    return marker === this.#tags.key ? this.#go("key") : this.#finish()
  }

  #begin(marker: string): void {
    this.#name = this.#raw.trim()
    if (this.#name === "") {
      this.state = "none"
      return
    }
    this.#context.sink.call(this.#name)
    if (marker === this.#tags.nameEnd) this.#go("between")
    else this.#passTag(marker)
  }

  #beginValue(): void {
    const { sink, tools } = this.#context
    const key = this.#key
    this.#schema = parameterSchema(tools.get(this.#name), key)
    this.#isStreamed = isAlwaysString(this.#schema)
    this.#isValueStart = true
    sink.arguments(`${this.#numParameters === 0 ? "{" : ", "}${JSON.stringify(key)}: ${this.#isStreamed ? "\"" : ""}`)
    this.#numParameters += 1
    this.#go("value")
  }

  #addValue(text: string): void {
    if (text === "") return
    const { hasValueBreaks } = this.#tags
    this.#raw += hasValueBreaks && this.#isValueStart && text.startsWith("\n") ? text.slice(1) : text
    this.#isValueStart = false
    if (!this.#isStreamed) return
    // The line break before the end tag is not the value's.
    const end = hasValueBreaks && this.#raw.endsWith("\n") ? this.#raw.length - 1 : this.#raw.length
    if (end > 0) this.#context.sink.arguments(escaped(this.#raw.slice(0, end)))
    this.#raw = this.#raw.slice(end)
  }

  #endValue(): void {
    const value = this.#tags.hasValueBreaks && this.#raw.endsWith("\n") ? this.#raw.slice(0, -1) : this.#raw
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
