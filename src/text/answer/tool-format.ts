/** How a family of models writes its tool calls. */
import type { CallShape } from "./forced-calls.ts"

export interface CallSink {
  /** A call begins. */
  call(name: string): void
  /** More of its arguments, as JSON. */
  arguments(json: string): void
}

/**
 * open: it reads on. done: the calls are over, and what follows is not theirs. none: the text is no call after all; a
 * reader that has begun a call never says so.
 */
export type CallState = "open" | "done" | "none"

/**
 * Reads the text that an opener opened, unit by unit: however it comes in pieces, the same calls come out and it ends
 * at the same unit.
 */
export interface CallReader {
  readonly state: CallState
  /** Returns the units that it has read: all of `text` while it is open. */
  push(text: string): number
  /** The answer has ended inside the calls. It stays open where that cuts one off. */
  end(): void
}

/** Of a request's tools what readers need: the schemas of their parameters, by name. */
export type ToolSchemas = ReadonlyMap<string, Readonly<Record<string, unknown>>>

export interface ReaderContext {
  /** The one that opened the calls; "" for a bare one. */
  readonly opener: string
  readonly sink: CallSink
  readonly tools: ToolSchemas
}

export interface ToolFormat {
  /** Markers that open calls anywhere. */
  readonly openers: readonly string[]
  /** What may open calls without a marker, as the first character that is not white space; "" for nothing. */
  readonly bareOpener: string
  /** Markers that mean nothing once a call has been made: what closes one. */
  readonly closers: readonly string[]
  /** Marks within a call, which its text has to keep where they are special tokens. */
  readonly innerMarkers?: readonly string[]
  /** Stands between calls, like white space. */
  readonly separators: string
  /** Forms of call ids. */
  readonly callIds: "openai" | "mistral"
  makeReader(context: ReaderContext): CallReader
  /** How calls look that the model has to make; null: `GENERIC_CALLS` are asked for in their place. */
  readonly shape: CallShape | null
  /** The text that a reader reads as these calls: at least one. */
  write(calls: readonly WrittenCall[]): string
}

export interface WrittenCall {
  readonly name: string
  readonly arguments: Readonly<Record<string, unknown>>
}
