/**
 * The part of JSON Schema that an OpenAPI document here is written in: what does not fit a schema, and random values
 * that do. It reads a schema as a client gets it, knowing nothing of what wrote it. A keyword it does not know throws.
 */
export interface Schema {
  readonly type?: string
  readonly const?: unknown
  readonly anyOf?: readonly Schema[]
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  readonly items?: Schema
  readonly minItems?: number
  readonly additionalProperties?: boolean | Schema
  readonly minimum?: number
  readonly maximum?: number
  readonly pattern?: string
}

const KEYWORDS = new Set([
  "type", "const", "anyOf", "properties", "required", "items", "minItems", "additionalProperties",
  "minimum", "maximum", "pattern", "title", "description", "default", "x-strict",
])

/**
 * What does not fit, a line each. A field that the schema does not name is one, unless it allows others: an answer must
 * not say more than its description.
 */
export function misfits(schema: Schema, value: unknown, path = ""): string[] {
  const unknown = Object.keys(schema).find((keyword) => !KEYWORDS.has(keyword))
  if (unknown !== undefined) throw new Error(`${path}: the keyword ${unknown} is not known here`)
  if (schema.anyOf !== undefined) return misfitsOfAll(schema.anyOf, value, path)
  if ("const" in schema) return value === schema.const ? [] : [wrong(path, JSON.stringify(schema.const), value)]
  if (schema.type !== undefined && !isOfType(schema.type, value)) return [wrong(path, schema.type, value)]
  if (Array.isArray(value)) return misfitsOfArray(schema, value, path)
  if (typeof value === "object" && value !== null) return misfitsOfObject(schema, value, path)
  if (typeof value === "number") {
    const { minimum = -Infinity, maximum = Infinity } = schema
    return value >= minimum && value <= maximum ? [] : [wrong(path, `${minimum} to ${maximum}`, value)]
  }
  const { pattern } = schema
  return pattern === undefined || new RegExp(pattern, "u").test(String(value)) ? [] : [wrong(path, pattern, value)]
}

function misfitsOfArray({ items = {}, minItems = 0 }: Schema, value: readonly unknown[], path: string): string[] {
  const missing = value.length >= minItems ? [] : [`${path}: at least ${minItems} items wanted, got ${value.length}`]
  return [...missing, ...value.flatMap((item, i) => misfits(items, item, `${path}[${i}]`))]
}

/** Of the branch that fits best. */
function misfitsOfAll(branches: readonly Schema[], value: unknown, path: string): string[] {
  const all = branches.map((branch) => misfits(branch, value, path))
  return all.reduce((best, next) => (depthOf(next) > depthOf(best) ? next : best))
}

/** Where the first misfit is; nowhere is best. */
function depthOf([first]: readonly string[]): number {
  return first === undefined ? Infinity : first.split(":")[0]!.split(/[.[]/).length
}

function misfitsOfObject(schema: Schema, value: object, path: string): string[] {
  const { properties = {}, required = [], additionalProperties = false } = schema
  const missing = required.filter((name) => !Object.hasOwn(value, name)).map((name) => `${path}.${name}: missing`)
  const isOpen = additionalProperties === true || schema.type === undefined
  const wrongs = Object.entries(value).flatMap(([name, item]) => {
    const at = `${path}.${name}`
    if (Object.hasOwn(properties, name)) return misfits(properties[name]!, item, at)
    if (typeof additionalProperties === "object") return misfits(additionalProperties, item, at)
    return isOpen ? [] : [`${at}: not in the schema`]
  })
  return [...missing, ...wrongs]
}

function isOfType(type: string, value: unknown): boolean {
  switch (type) {
    case "null":
      return value === null
    case "array":
      return Array.isArray(value)
    case "object":
      return typeof value === "object" && value !== null && !Array.isArray(value)
    case "integer":
      return Number.isInteger(value)
    case "string":
    case "number":
    case "boolean":
      return typeof value === type
    default:
      throw new Error(`the type ${type} is not known here`)
  }
}

function wrong(path: string, wanted: string, value: unknown): string {
  return `${path}: ${wanted} wanted, got ${(JSON.stringify(value) ?? "undefined").slice(0, 80)}`
}

/** In [0, 1). */
export type Random = () => number

export function pick<T>(random: Random, values: readonly T[]): T {
  return values[Math.floor(random() * values.length)]!
}

const TEXTS = ["", "a", "Hello there", "été 日本 🙂", "line\nline", "\u0000", "user", "auto", "text", "function", "message"]
const INTEGERS = [0, 1, 1, 2, 3, 5, 20, -1]
const NUMBERS = [0, 0.5, 1, 1, 1.5, -1, 2]

/** Fields of an object that may be left out and are not, about: with more, hardly a request means something. */
const NUM_CHOSEN = 3

/** A value that fits. */
export function sample(schema: Schema, random: Random): unknown {
  if (schema.anyOf !== undefined) return sample(pick(random, schema.anyOf), random)
  if ("const" in schema) return schema.const
  const { minimum = -Infinity, maximum = Infinity } = schema
  const fit = (value: number) => Math.min(Math.max(value, minimum), maximum)
  switch (schema.type) {
    case "null":
      return null
    case "boolean":
      return random() < 0.5
    case "integer":
      return fit(pick(random, INTEGERS))
    case "number":
      return fit(pick(random, NUMBERS))
    case "string":
      return schema.pattern === undefined ? pick(random, TEXTS) : pick(random, ["7", "-9007199254740993"])
    case "array":
      return sampleArray(schema, random)
    case "object":
      return sampleObject(schema, random)
    default:
      return pick(random, [...TEXTS, ...NUMBERS, null, true])
  }
}

function sampleArray({ items = {}, minItems = 0 }: Schema, random: Random): unknown[] {
  const length = Math.max(minItems, Math.floor(random() * 3))
  return Array.from({ length }, () => sample(items, random))
}

function sampleObject({ properties = {}, required = [], additionalProperties }: Schema, random: Random): object {
  const chance = Math.min(0.5, NUM_CHOSEN / Object.keys(properties).length)
  const fields = Object.entries(properties)
    .filter(([name]) => required.includes(name) || random() < chance)
    .map(([name, property]) => [name, sample(property, random)] as const)
  const others = typeof additionalProperties === "object" && random() < 0.5
    ? [[pick(random, ["1", "key", "type", "a\nb"]), sample(additionalProperties, random)] as const]
    : []
  return Object.fromEntries([...fields, ...others])
}
