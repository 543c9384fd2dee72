/** A line of a batch file: `{"custom_id", "method": "POST", "url": "/v1/...", "body": {...}}`. */
import type { Line } from "./read-lines.ts"

export interface BatchRequest {
  /** From 1. */
  readonly lineNumber: number
  readonly customId: string
  readonly url: string
  readonly body: Readonly<Record<string, unknown>>
}

/** What OpenAI's batch files say of a line that is not one. */
export interface LineError {
  readonly code: "invalid_line" | "duplicate_custom_id"
  readonly message: string
  /** From 1. */
  readonly line: number
}

export type ParsedLine =
  | { readonly request: BatchRequest }
  /** `customId` where the line has one. */
  | { readonly customId: string | null; readonly error: LineError }

/** A line with a bad byte is refused; what can be told of it names its request. */
export function parseBatchLine({ text, number: lineNumber, badByte }: Line): ParsedLine {
  const damage = badByte === null ? null : `not UTF-8: byte ${badByte}`
  let value: unknown
  try {
    value = JSON.parse(text, keepNumbers)
  } catch (error) {
    return refuse(null, lineNumber, damage ?? `not JSON: ${(error as Error).message}`)
  }
  if (!isObject(value)) return refuse(null, lineNumber, damage ?? "not a JSON object")
  const { custom_id: customId, method = "POST", url, body } = value
  if (typeof customId !== "string" || customId === "")
    return refuse(null, lineNumber, damage ?? "custom_id must be a string")
  const wrong = (words: string): ParsedLine => refuse(customId, lineNumber, words)
  // Its name may be what is damaged: then it is nobody's.
  if (damage !== null) return refuse(customId.includes("\ufffd") ? null : customId, lineNumber, damage)
  if (method !== "POST") return wrong(`method must be "POST", got ${shown(method)}`)
  if (typeof url !== "string" || !/^\/[^\s?#]*$/.test(url))
    return wrong(`url must be a path such as "/v1/chat/completions", got ${shown(url)}`)
  if (!isObject(body)) return wrong("body must be an object")
  if (body["stream"] === true) return wrong("body.stream must not be true: a batch has whole answers")
  return { request: { lineNumber, customId, url, body } }
}

/** What a double does not write as it came, such as a seed of 64 bits or 1.0, stays as it is written. */
function keepNumbers(_key: string, value: unknown, context?: { source?: string }): unknown {
  if (typeof value !== "number" || context?.source === undefined) return value
  return String(value) === context.source ? value : rawJson(context.source)
}

const rawJson = (JSON as unknown as { rawJSON: (text: string) => unknown }).rawJSON

function refuse(customId: string | null, line: number, words: string): ParsedLine {
  return { customId, error: { code: "invalid_line", message: `line ${line}: ${words}`, line } }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value)
}

function shown(value: unknown): string {
  return (JSON.stringify(value) ?? "nothing").slice(0, 80)
}
