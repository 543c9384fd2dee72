/**
 * Reads values the way pydantic's lax mode does, which OpenAI clients have come to rely on: "5" is an integer where one
 * is asked for, "yes" a boolean, true a number.
 */
import { Kind } from "@sinclair/typebox"
import type { TArray, TObject, TRecord, TSchema, TUnion } from "@sinclair/typebox"
import { Value } from "@sinclair/typebox/value"
import { STRICT } from "./kinds.ts"

const TRUE_WORDS = new Set(["true", "t", "yes", "y", "on", "1"])
const FALSE_WORDS = new Set(["false", "f", "no", "n", "off", "0"])
const NUMERAL = /^\s*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?\s*$/

/** `value` with its scalars read as `schema` wants them, as a copy; what cannot be read so stays as it is. */
export function coerce(schema: TSchema, value: unknown): unknown {
  if (schema[STRICT] === true) return value
  switch (schema[Kind]) {
    case "Integer":
      return toInteger(value)
    case "Number":
      return toNumber(value)
    case "Boolean":
      return toBoolean(value)
    case "Array":
      return Array.isArray(value) ? value.map((item) => coerce((schema as TArray).items, item)) : value
    case "Object":
      return isRecord(value) ? coerceProperties(schema as TObject, value) : value
    case "Record":
      return isRecord(value) ? coerceValues(schema as TRecord, value) : value
    case "Union":
      return coerceUnion(schema as TUnion, value)
    default:
      return value
  }
}

function coerceUnion(schema: TUnion, value: unknown): unknown {
  if (schema.anyOf.some((branch) => Value.Check(branch, value))) return value
  for (const branch of schema.anyOf) {
    const read = coerce(branch, value)
    if (Value.Check(branch, read)) return read
  }
  return value
}

function coerceProperties(schema: TObject, value: Record<string, unknown>): Record<string, unknown> {
  const read = { ...value }
  for (const [name, property] of Object.entries(schema.properties)) {
    if (Object.hasOwn(value, name)) read[name] = coerce(property, value[name])
  }
  return read
}

function coerceValues(schema: TRecord, value: Record<string, unknown>): Record<string, unknown> {
  const item = Object.values(schema.patternProperties)[0]
  if (item === undefined) return value
  return Object.fromEntries(Object.entries(value).map(([name, entry]) => [name, coerce(item, entry)]))
}

function toNumber(value: unknown): unknown {
  if (typeof value === "boolean") return value ? 1 : 0
  if (typeof value === "string" && NUMERAL.test(value)) return Number(value)
  return value
}

function toInteger(value: unknown): unknown {
  const number = toNumber(value)
  return Number.isInteger(number) ? number : value
}

function toBoolean(value: unknown): unknown {
  if (value === 0) return false
  if (value === 1) return true
  if (typeof value !== "string") return value
  const word = value.toLowerCase()
  if (TRUE_WORDS.has(word)) return true
  return FALSE_WORDS.has(word) ? false : value
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value)
}
