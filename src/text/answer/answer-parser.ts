/**
 * Splits one answer's text into reasoning, content and tool calls, while it comes.
 *
 *   reasoning --end mark--> content --opener--> in a call --its end--> after --opener--> in a call ...
 *       \--opener, where the format lets calls end reasoning--^          (content behind a call)
 *
 * What the parts join to does not depend on how the text came in pieces. Held back is only
 *   - the end of the text, as far as it may become a marker;
 *   - the text of a call until its name and the start of its arguments are known: till then it may be no call, and
 *     would be text like any other;
 *   - white space behind content, and behind a call. Before a call it is dropped: what stands between a text and its
 *     calls is no part of the text. So is white space behind a call that ends the answer.
 *
 * Stop strings come before: what is given to `push` is certain (engine/output-text.ts). A stop string may begin in
 * front of a marker or within one, and then what the marker would have done has never happened. Whatever ends an
 * answer, be it a stop string, the token limit, or a grammar that is complete, is the same event here: `end`.
 */
import { assert } from "../../base/assert.ts"
import type { AnswerFormat, Mode } from "./answer-format.ts"
import { addPart, type AnswerPart } from "./answer-part.ts"
import { isJson } from "./json-span.ts"
import { MarkedText } from "./marked-text.ts"
import type { CallReader, CallSink, ToolSchemas } from "./tool-format.ts"

/** UTF-16 units. */
const MAX_PIECE = 256

export interface AnswerStart {
  readonly beginsWithReasoning: boolean
  readonly tools: ToolSchemas
}

/** Calls being read, and what to take back if they turn out not to be any. */
interface OpenCalls {
  readonly reader: CallReader
  readonly opener: string
  /** The mode in which it was met. */
  readonly from: Mode
  /** The text behind the opener, until the first call is certain. */
  raw: string
  hasBegun: boolean
}

export class AnswerParser {
  readonly #format: AnswerFormat
  readonly #tools: ToolSchemas
  readonly #text: MarkedText
  #mode: Mode
  #calls: OpenCalls | null = null
  #numCalls = 0
  #isCutOff = false
  /** Of the call being read. */
  #arguments = ""
  #firstBrokenCall: number | null = null
  /** Nothing but white space since the content began, or since the last call. */
  #isBlank: boolean
  /** White space at the end of the content so far, which is held. */
  #blank = ""
  #parts: AnswerPart[] = []

  constructor(format: AnswerFormat, start: AnswerStart) {
    this.#format = format
    this.#tools = start.tools
    this.#mode = start.beginsWithReasoning ? "reasoning" : "content"
    this.#text = new MarkedText(format.modes[this.#mode].set)
    this.#isBlank = format.tools !== null
  }

  /** Calls that have begun. */
  get numCalls(): number {
    return this.#numCalls
  }

  /** The answer has ended inside of a call's arguments. */
  get isCutOff(): boolean {
    return this.#isCutOff
  }

  /** Index of the first call whose arguments do not parse, as where it was cut off; null while there is none. */
  get firstBrokenCall(): number | null {
    return this.#firstBrokenCall
  }

  /** Takes in more of the text, whole characters. Returns what has become certain. */
  push(text: string): AnswerPart[] {
    this.#read(text)
    return this.#takeParts()
  }

  /** The text has ended: returns the rest. */
  end(): AnswerPart[] {
    while (!this.#isAtEnd());
    if (this.#numCalls === 0 || !this.#isBlank) this.#addBlank()
    return this.#takeParts()
  }

  #takeParts(): AnswerPart[] {
    const parts = this.#parts
    this.#parts = []
    return parts
  }

  #read(text: string): void {
    /** Last first. A long text is read bit by bit: what is read again, behind a call that is none, stays short. */
    const unread = [text]
    for (let next = unread.pop(); next !== undefined; next = unread.pop()) {
      const [head, tail] = splitBehind(next, MAX_PIECE)
      if (tail !== "") unread.push(tail)
      if (head === "") continue
      unread.push(this.#calls === null ? this.#readText(head) : this.#readCalls(head))
    }
  }

  /** False where something was held that is now to be read in another way. */
  #isAtEnd(): boolean {
    if (this.#calls !== null) {
      const { reader, hasBegun } = this.#calls
      reader.end()
      this.#isCutOff = hasBegun && reader.state === "open"
      if (this.#isCutOff) this.#firstBrokenCall ??= this.#numCalls - 1
      this.#read(this.#closeCalls(this.#calls))
      return false
    }
    const held = this.#text.takeHeld()
    this.#read(this.#write(held))
    return held === ""
  }

  /** Reads up to a marker and does what it says. Returns what is left to read. */
  #readText(text: string): string {
    const { set, actions } = this.#format.modes[this.#mode]
    const piece = this.#text.read(text)
    const bare = this.#write(piece.text)
    const marker = piece.marker < 0 ? "" : set.markers[piece.marker]!
    if (bare !== "") return bare + marker + this.#text.takeHeld() + text.slice(piece.end)
    if (piece.marker >= 0) {
      const action = actions[piece.marker]!
      if (action === "call") this.#openCalls(marker)
      else if (action === "text") this.#enterWith(marker)
      else if (action !== "drop") this.#enter(action)
    }
    return text.slice(piece.end)
  }

  #enter(mode: Mode): void {
    if (this.#mode === "reasoning" && mode === "content") this.#isBlank = this.#format.tools !== null
    // Behind a call content stays what comes after calls.
    this.#mode = mode === "content" && this.#numCalls > 0 ? "after" : mode
    this.#text.restart(this.#format.modes[this.#mode].set)
  }

  #enterWith(marker: string): void {
    this.#enter("content")
    this.#add("content", marker)
  }

  /** Writes text that has no marker. Returns the part of it from which on it may be a call without one. */
  #write(text: string): string {
    if (this.#mode === "reasoning") this.#add("reasoning", text)
    else if (this.#format.tools === null) this.#add("content", text)
    else if (this.#isBlank) return this.#writeFirst(text)
    else this.#writeContent(text)
    return ""
  }

  /** White space at the end is held: a call may follow. */
  #writeContent(text: string): void {
    const held = text.length - text.trimEnd().length
    if (held === text.length) {
      this.#blank += text
      return
    }
    this.#add("content", this.#blank + text.slice(0, text.length - held))
    this.#blank = text.slice(text.length - held)
  }

  #writeFirst(text: string): string {
    const { bareOpener, separators } = this.#format.tools!
    let i = 0
    while (i < text.length && (text[i]!.trim() === "" || (this.#mode === "after" && separators.includes(text[i]!)))) i++
    this.#blank += text.slice(0, i)
    if (i === text.length) return ""
    if (text[i] === bareOpener) {
      this.#openCalls("")
      return text.slice(i)
    }
    this.#isBlank = false
    this.#writeContent(text.slice(i))
    return ""
  }

  /** What was held as white space is content after all. */
  #addBlank(): void {
    this.#add("content", this.#blank)
    this.#blank = ""
    this.#isBlank = false
  }

  #openCalls(opener: string): void {
    const calls = { opener, from: this.#mode, raw: "", hasBegun: false }
    const sink: CallSink = {
      call: (name) => this.#beginCall(name),
      arguments: (text) => this.#addArguments(text),
    }
    const reader = this.#format.tools!.makeReader({ opener, sink, tools: this.#tools })
    this.#calls = { ...calls, reader }
  }

  #beginCall(name: string): void {
    assert(this.#calls !== null, "a call outside of calls")
    if (this.#calls.hasBegun) this.#checkArguments()
    this.#calls.hasBegun = true
    this.#calls.raw = ""
    this.#blank = ""
    this.#parts.push({ type: "call", index: this.#numCalls, name })
    this.#numCalls += 1
  }

  #addArguments(text: string): void {
    this.#arguments += text
    addPart(this.#parts, { type: "arguments", index: this.#numCalls - 1, text })
  }

  /** Of the call that has ended. */
  #checkArguments(): void {
    if (!isJson(this.#arguments)) this.#firstBrokenCall ??= this.#numCalls - 1
    this.#arguments = ""
  }

  #readCalls(text: string): string {
    const calls = this.#calls!
    const numRead = calls.reader.push(text)
    if (!calls.hasBegun) calls.raw += text.slice(0, numRead)
    return calls.reader.state === "open" ? "" : this.#closeCalls(calls) + text.slice(numRead)
  }

  /** The calls are over, or were none: then returns their text, to be read again as text. */
  #closeCalls({ from, opener, hasBegun, raw }: OpenCalls): string {
    this.#calls = null
    this.#enter(hasBegun ? "content" : from)
    if (hasBegun) {
      this.#checkArguments()
      this.#isBlank = true
      return ""
    }
    if (from !== "reasoning") this.#addBlank()
    this.#add(from === "reasoning" ? "reasoning" : "content", opener)
    return raw
  }

  #add(type: "reasoning" | "content", text: string): void {
    if (text !== "") addPart(this.#parts, { type, text })
  }
}

/** The first `length` units, or one more where they would end within a character, and the rest. */
function splitBehind(text: string, length: number): [string, string] {
  if (text.length <= length) return [text, ""]
  const end = (text.codePointAt(length - 1) ?? 0) > 0xffff ? length + 1 : length
  return [text.slice(0, end), text.slice(end)]
}
