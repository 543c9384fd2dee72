/** Keywords about values without parts, and those that list values. */
import { ANY_TEXT, lengthBetween, literals, type Automaton } from "../automata/automaton.ts"
import { compared, multiplesOf, wholeNumbers } from "../automata/decimals.ts"
import { matching } from "../automata/regex-automaton.ts"
import { FREE_FORMATS, STRING_FORMATS } from "./formats.ts"
import { countOf, kindOf, listOf, type Expanding, type Keyword } from "./keyword.ts"
import type { Site } from "./node.ts"
import { patternOf } from "./pattern.ts"
import { isObject } from "./references.ts"
import { SchemaError } from "./schema-error.ts"
import { ANY_OBJECT, anyArray, eitherShape, keysExcept, nameRule, NOTHING, type Shape } from "./shape.ts"

const MAX_MULTIPLE_STATES = 20_000
const MAX_LENGTH = 100_000

function numbers(expander: Expanding, automaton: Automaton): Shape {
  return { ...expander.all, numbers: automaton }
}

function strings(expander: Expanding, automaton: Automaton): Shape {
  return { ...expander.all, strings: automaton }
}

function bound(isWanted: (order: -1 | 0 | 1) => boolean, keyword: string): Keyword {
  return (value, { path }, expander) => {
    if (typeof value !== "number") throw new SchemaError(keyword, path, `must be a number, got ${kindOf(value)}`)
    return numbers(expander, compared(value, isWanted))
  }
}

function kindShape(name: unknown, { all }: Expanding): Shape | null {
  switch (name) {
    case "null": return { ...NOTHING, hasNull: true }
    case "boolean": return { ...NOTHING, booleans: all.booleans }
    case "number": return { ...NOTHING, numbers: "all" }
    case "integer": return { ...NOTHING, numbers: wholeNumbers() }
    case "string": return { ...NOTHING, strings: "all" }
    case "array": return { ...NOTHING, arrays: all.arrays }
    case "object": return { ...NOTHING, objects: all.objects }
    default: return null
  }
}

/** Exactly `value`. */
function valueShape(value: unknown, site: Site, expander: Expanding): Shape {
  const { nodes } = expander
  const nodeOf = (part: unknown) => nodes.at({ ...site, schema: { const: part } })
  const never = nodes.at({ ...site, schema: false })
  if (value === null) return { ...NOTHING, hasNull: true }
  if (typeof value === "boolean") return { ...NOTHING, booleans: [value] }
  if (typeof value === "number") return { ...NOTHING, numbers: compared(value, (order) => order === 0) }
  if (typeof value === "string") return { ...NOTHING, strings: literals([value]) }
  if (Array.isArray(value)) {
    const prefix = value.map(nodeOf)
    const { length } = value
    return { ...NOTHING, arrays: [{ ...anyArray(nodes.free), prefix, rest: never, min: length, max: length }] }
  }
  const properties = isObject(value) ? Object.entries(value) : []
  const rules = properties.map(([name, part]) => nameRule(name, nodeOf(part)))
  const others = { name: null, keys: keysExcept(properties.map(([name]) => name)), node: never }
  return {
    ...NOTHING,
    objects: [{ ...ANY_OBJECT, rules: [...rules, others], required: properties.map(([name]) => name) }],
  }
}

/** Strings of a list are one automaton, however many there are. */
function valuesShape(values: readonly unknown[], site: Site, expander: Expanding): Shape {
  const texts = values.filter((value) => typeof value === "string")
  const start: Shape = { ...NOTHING, strings: texts.length === 0 ? null : literals(texts) }
  const others = values.filter((value) => typeof value !== "string")
  return others.reduce<Shape>((shape, value) => eitherShape(shape, valueShape(value, site, expander)), start)
}

export const VALUE_KEYWORDS: Readonly<Record<string, Keyword>> = {
  type: (value, site, expander) => {
    const names = Array.isArray(value) ? value : [value]
    return names.reduce<Shape>((shape, name) => {
      const one = kindShape(name, expander)
      if (one !== null) return eitherShape(shape, one)
      throw new SchemaError("type", site.path, `must be the name of a JSON type, got ${JSON.stringify(name)}`)
    }, NOTHING)
  },
  const: (value, site, expander) => valuesShape([value], site, expander),
  enum: (value, site, expander) => valuesShape(listOf(value, "enum", site), site, expander),

  minimum: bound((order) => order >= 0, "minimum"),
  maximum: bound((order) => order <= 0, "maximum"),
  exclusiveMinimum: bound((order) => order > 0, "exclusiveMinimum"),
  exclusiveMaximum: bound((order) => order < 0, "exclusiveMaximum"),
  multipleOf: (value, { path }, expander) => {
    if (typeof value !== "number" || !(value > 0)) {
      throw new SchemaError("multipleOf", path, `must be a number above 0, got ${JSON.stringify(value)}`)
    }
    const multiples = multiplesOf(value, MAX_MULTIPLE_STATES)
    if (multiples !== null) return numbers(expander, multiples)
    throw new SchemaError("multipleOf", path, `is ${value}, which has too many digits for a grammar`)
  },

  minLength: (value, site, expander) => {
    const min = lengthOf(value, "minLength", site)
    return min === 0 ? null : strings(expander, lengthBetween(min, Infinity))
  },
  maxLength: (value, site, expander) => strings(expander, lengthBetween(0, lengthOf(value, "maxLength", site))),
  pattern: (value, site, expander) => strings(expander, patternOf(value, "pattern", site)),
  format: (value, { path }, expander) => {
    if (typeof value !== "string") throw new SchemaError("format", path, `must be a string, got ${kindOf(value)}`)
    const known = Object.hasOwn(STRING_FORMATS, value) ? STRING_FORMATS[value]! : null
    if (known !== null) return strings(expander, formatOf(value, known))
    if (FREE_FORMATS.has(value)) return null
    return strings(expander, refusedFormat(value, path))
  },
}

/** For where a string may stand at all: numbers have formats too, which say nothing. */
function refusedFormat(name: string, path: string): Automaton {
  const names = Object.keys(STRING_FORMATS).join(", ")
  const reason = `is ${JSON.stringify(name)}, which no grammar is made of; there are ${names}`
  return { ...ANY_TEXT, refusal: new SchemaError("format", path, reason) }
}

const formats = new Map<string, Automaton>()

function formatOf(name: string, source: string): Automaton {
  const known = formats.get(name) ?? matching(source)
  formats.set(name, known)
  return known
}

function lengthOf(value: unknown, keyword: string, site: Site): number {
  const length = countOf(value, keyword, site)
  if (keyword === "minLength" && length > MAX_LENGTH) {
    throw new SchemaError(keyword, site.path, `is ${length}; the limit is ${MAX_LENGTH}`)
  }
  return length > MAX_LENGTH ? Infinity : length
}
