import { stderr } from "./standard-streams.ts"

/**
 * Lines for the operator, on stderr: one event a line, the message first and its values as `name=value`, or the whole
 * as one JSON object. stdout stays free for what a command answers.
 */
export const LOG_LEVELS = ["debug", "info", "warning", "error"] as const
export type LogLevel = (typeof LOG_LEVELS)[number]
export type LogFields = Readonly<Record<string, string | number | boolean | null>>

export interface Log {
  debug(message: string, fields?: LogFields): void
  info(message: string, fields?: LogFields): void
  warning(message: string, fields?: LogFields): void
  error(message: string, fields?: LogFields): void
}

export interface LogOptions {
  /** Less important lines are left out. */
  readonly level: LogLevel
  readonly json: boolean
  /** False: the line was dropped. */
  readonly write: (line: string) => unknown
  readonly now: () => Date
}

const LINES_DROPPED = "log lines were dropped: they were not read in time"

export function makeLog(options: Partial<LogOptions> = {}): Log {
  const { level = "info", json = false, write = (line) => stderr.write(line), now = () => new Date() } = options
  const least = LOG_LEVELS.indexOf(level)
  const format = json ? formatJson : formatText
  let numDropped = 0
  const writer = (at: LogLevel) => (message: string, fields: LogFields = {}) => {
    if (LOG_LEVELS.indexOf(at) < least) return
    const time = now()
    const loss = numDropped > 0 ? `${format("warning", time, LINES_DROPPED, { numDropped })}\n` : ""
    // Both or neither: where the line has no room, it is one more that was dropped.
    const isWritten = write(`${loss}${format(at, time, message, fields)}\n`) !== false
    numDropped = isWritten ? 0 : numDropped + 1
  }
  return { debug: writer("debug"), info: writer("info"), warning: writer("warning"), error: writer("error") }
}

function formatJson(level: LogLevel, time: Date, message: string, fields: LogFields): string {
  return escapedJson({ time: time.toISOString(), level, message, ...fields })
}

function formatText(level: LogLevel, time: Date, message: string, fields: LogFields): string {
  const values = Object.entries(fields).map(([name, value]) => ` ${name}=${formatValue(value)}`)
  // Text from outside must not look like a line of its own, nor drive the terminal.
  return `${level.toUpperCase().padEnd(7)} ${time.toISOString()} ${escapeControls(message)}${values.join("")}`
}

function formatValue(value: LogFields[string]): string {
  return typeof value === "string" && !/^[^\s"=]+$/.test(value) ? escapedJson(value) : escapeControls(String(value))
}

/** Controls of both blocks, what some readers take for the end of a line, and what turns the direction of writing. */
const CONTROLS = /[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/g

function escapeControls(text: string): string {
  return text.replace(CONTROLS, (char) => {
    const code = char.charCodeAt(0)
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : unicodeEscape(code)
  })
}

/** JSON that is free of controls too: it lets all but those below U+0020 stand in strings. */
function escapedJson(value: unknown): string {
  return JSON.stringify(value).replace(CONTROLS, (char) => unicodeEscape(char.charCodeAt(0)))
}

function unicodeEscape(code: number): string {
  return `\\u${code.toString(16).padStart(4, "0")}`
}
