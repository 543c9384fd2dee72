/** Values that a model wrote as plain text, made into the JSON that a tool's schema asks for. */
import { isInteger, isJsonNumber } from "../../base/json-number.ts"
import { isObject } from "../tokenizer-json.ts"

type Schema = Readonly<Record<string, unknown>>

const ALIASES: readonly (readonly [names: RegExp, type: string])[] = [
  [/^(str|text|varchar|char|enum)$/, "string"],
  [/^(u?int(8|16|32|64)?|long|short|unsigned)$/, "integer"],
  [/^(float|double|decimal)(32|64)?$/, "number"],
  [/^bool$/, "boolean"],
  [/^(dict|map)$/, "object"],
  [/^(list|arr|sequence|tuple)$/, "array"],
]

/** In order: the first that a text can be read as. */
const READERS: Readonly<Record<string, (text: string) => string | null>> = {
  null: (text) => (text.toLowerCase() === "null" ? "null" : null),
  integer: (text) => (/^\s*[+-]?\d{1,400}\s*$/.test(text) ? String(BigInt(text.trim().replace(/^\+/, ""))) : null),
  number: readNumber,
  boolean: readBoolean,
  object: (text) => jsonOf(text, isObject),
  array: (text) => jsonOf(text, Array.isArray),
  string: (text) => JSON.stringify(text),
}

/** The schema of one of a tool's parameters, or null where it is unknown. */
export function parameterSchema(parameters: Schema | undefined, name: string): Schema | null {
  const properties = parameters?.["properties"]
  const schema = isObject(properties) && Object.hasOwn(properties, name) ? properties[name] : null
  return isObject(schema) ? schema : null
}

/** Whether a value is a string whatever it says, so that it can be given out while it comes. */
export function isAlwaysString(schema: Schema | null): boolean {
  const types = schemaTypes(schema)
  return types.size === 1 && types.has("string")
}

/** `text` as the first of the schema's types that it can be read as: null > integer > ... > string. */
export function jsonValue(text: string, schema: Schema | null): string {
  const types = schemaTypes(schema)
  for (const [type, read] of Object.entries(READERS)) {
    const json = types.has(type) ? read(text) : null
    if (json !== null) return json
  }
  return jsonOf(text, (value) => value !== Infinity && value !== -Infinity) ?? JSON.stringify(text)
}

function schemaTypes(schema: unknown): ReadonlySet<string> {
  const types = new Set<string>()
  if (isObject(schema)) addTypes(schema, types, 0)
  return types.size > 0 ? types : new Set(["string"])
}

function addTypes(schema: Schema, types: Set<string>, depth: number): void {
  for (const type of [schema["type"]].flat()) if (typeof type === "string") types.add(typeName(type))
  if (Array.isArray(schema["enum"])) for (const value of schema["enum"]) types.add(typeOf(value))
  if (depth > 8) return
  for (const field of ["anyOf", "oneOf", "allOf"]) {
    const choices = schema[field]
    if (!Array.isArray(choices)) continue
    for (const choice of choices) if (isObject(choice)) addTypes(choice, types, depth + 1)
  }
}

function typeName(type: string): string {
  const name = type.trim().toLowerCase()
  return ALIASES.find(([names]) => names.test(name))?.[1] ?? name
}

function typeOf(value: unknown): string {
  if (value === null) return "null"
  if (Array.isArray(value)) return "array"
  if (isJsonNumber(value)) return isInteger(value) ? "integer" : "number"
  return Number.isInteger(value) ? "integer" : typeof value
}

/** As the shortest number that says the same: 1.0 is 1. */
function readNumber(text: string): string | null {
  const value = /^\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*$/i.test(text) ? Number(text) : NaN
  return Number.isFinite(value) ? String(value) : null
}

function readBoolean(text: string): string | null {
  const word = text.trim().toLowerCase()
  if (word === "true" || word === "1") return "true"
  return word === "false" || word === "0" ? "false" : null
}

/** The text itself where it is JSON of the wanted kind. */
function jsonOf(text: string, isWanted: (value: unknown) => boolean): string | null {
  try {
    return isWanted(JSON.parse(text)) ? text.trim() : null
  } catch {
    return null
  }
}
