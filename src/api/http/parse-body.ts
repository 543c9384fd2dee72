/**
 * Bytes of a request into what its endpoint works with. Nothing is parsed before its size is known to be bearable, and
 * all of it may run on another thread than the one that answers requests.
 */
import { numberTexts } from "../../base/json-number.ts"
import type { NumberTexts } from "../../base/json-number.ts"
import { MAX_NESTING, scanJson } from "../../base/json-scan.ts"
import type { JsonLimit, JsonLimits, JsonSize } from "../../base/json-scan.ts"
import { schemaOf } from "./body-schemas.ts"
import type { BodyShape } from "./body-schemas.ts"
import { isRecord } from "../schema/coerce.ts"
import { bodyParser, shapeError } from "../schema/parse.ts"

export const DEFAULT_BODY_LIMITS: JsonLimits = { maxDepth: MAX_NESTING, maxValues: 2 ** 17, maxNumbers: 2 ** 21 }

/** Plain data, which goes from thread to thread. */
export interface ParsedBody {
  /** The shape that the body has; null where it has none of them, and has not been checked. */
  readonly shape: BodyShape | null
  readonly body: unknown
  /** Numbers in `body` that go into prompts as they are written, for `withNumberTexts`: what it puts in is not plain. */
  readonly numbers: NumberTexts | null
}

/** Memory that a body may take in all while it is read, itself and its text included. */
export function bodyMemory(numBytes: number): number {
  return (MEMORY_FACTOR + 2) * numBytes + MEMORY_ALLOWANCE
}

/** What a value takes at most, but for the characters of a string: an object with room for its first six fields. */
const VALUE_BYTES = 64
/** A number in a list: the list grows by doubling, and is copied from thread to thread. */
const NUMBER_BYTES = 40
/** A body may take this much more memory than four times its bytes, whatever the server's limits on values are. */
const MEMORY_ALLOWANCE = 64 * 2 ** 20
/** Of the body's bytes; the body itself and its text make it four. */
const MEMORY_FACTOR = 2

/**
 * The text of a body that is small enough to be parsed.
 *
 * Errors: `RequestError` 400 "Bad Request" for an empty body, bytes that are not UTF-8, and more of anything than
 * `limits` and the memory allow.
 */
export function bodyText(bytes: Uint8Array, limits: JsonLimits): string {
  if (bytes.length === 0) throw shapeError("body", "Field required")
  checkSize(bytes, limits)
  return decodeUtf8(bytes)
}

/**
 * Reads a body by the first of `shapes` whose field it has.
 *
 * Errors: `RequestError` 400 "Bad Request" for text that is not JSON, and for what the schema does not allow;
 * those of `numberTexts`.
 */
export function parseBody(text: string, shapes: readonly BodyShape[]): ParsedBody {
  const json = parseJson(text)
  const shape = shapes.find(({ field }) => field === null || (isRecord(json) && field in json)) ?? null
  if (shape === null) return { shape, body: json, numbers: null }
  const numbers = takeNumbers(json, text)
  return { shape, body: bodyParser(schemaOf(shape))(json), numbers }
}

function checkSize(bytes: Uint8Array, limits: JsonLimits): void {
  const size = scanJson(bytes, limits)
  if (typeof size === "string") throw shapeError("body", tooMuch(size, limits))
  const memory = memoryOf(size)
  const allowed = MEMORY_FACTOR * bytes.length + MEMORY_ALLOWANCE
  if (memory > allowed) {
    throw shapeError("body", `The body of ${bytes.length} bytes would take ${memory} bytes of memory beside itself, ` +
      `more than ${allowed}`)
  }
}

function tooMuch(limit: JsonLimit, limits: JsonLimits): string {
  switch (limit) {
    case "maxDepth":
      return `The body is nested more than ${limits.maxDepth} deep`
    case "maxValues":
      return `The body holds more than ${limits.maxValues} values (see --max-body-values)`
    case "maxNumbers":
      return `The body holds more than ${limits.maxNumbers} numbers in lists (see --max-body-numbers)`
  }
}

function memoryOf({ numValues, numNumbers }: JsonSize): number {
  return numValues * VALUE_BYTES + numNumbers * NUMBER_BYTES
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes)
  } catch {
    throw shapeError("body", "The body is not valid UTF-8")
  }
}

function parseJson(text: string): unknown {
  let body: unknown
  try {
    body = JSON.parse(text)
  } catch (error) {
    throw shapeError("body", `JSON decode error: ${error instanceof Error ? error.message : String(error)}`)
  }
  return body
}

/** What goes into prompts as it is written. */
const EXACT_FIELDS: ReadonlySet<string | number> = new Set([
  "messages", "input", "tools", "documents", "chat_template_kwargs",
])

/** Puts the digits of a 64-bit seed in place of it, which does not fit into a double. Errors: those of `numberTexts`. */
function takeNumbers(json: unknown, text: string): NumberTexts | null {
  if (!isRecord(json) || !Object.keys(json).some((field) => field === "seed" || EXACT_FIELDS.has(field))) return null
  const texts = numberTexts(text)
  if (texts === null || typeof texts === "string") return null
  const seed = texts.get("seed")
  if (typeof seed === "string" && /^-?\d+$/.test(seed)) json["seed"] = seed
  return new Map([...texts].filter(([field]) => EXACT_FIELDS.has(field)))
}
