/** Says in words what a schema allows and what a value is, for error messages. */
import { Kind } from "@sinclair/typebox"
import type { TArray, TLiteral, TSchema, TUnion } from "@sinclair/typebox"

const MAX_SHOWN = 60

export function describeSchema(schema: TSchema): string {
  switch (schema[Kind]) {
    case "Union": {
      const branches = (schema as TUnion).anyOf.filter((branch) => branch[Kind] !== "Null")
      return branches.map(describeSchema).join(" or ")
    }
    case "Literal":
      return JSON.stringify((schema as TLiteral).const)
    case "Array":
      return `a list of ${describeMany(schema as TArray)}`
    case "Integer":
      return `an integer${bounds(schema)}`
    case "Number":
      return `a number${bounds(schema)}`
    case "Boolean":
      return "true or false"
    case "String":
      return schema["pattern"] === undefined ? "a string" : `a string like ${schema["pattern"]}`
    case "Object":
    case "Record":
      return "an object"
    default:
      return "another value"
  }
}

/** What a list holds: "at most 4 strings". */
function describeMany(list: TArray): string {
  const most = list["maxItems"] === undefined ? "" : `at most ${list["maxItems"]} `
  return most + plural(list.items)
}

function plural(schema: TSchema): string {
  switch (schema[Kind]) {
    case "Union":
      return (schema as TUnion).anyOf.map(plural).join(" or ")
    case "Array":
      return `lists of ${describeMany(schema as TArray)}`
    case "Integer":
      return `integers${bounds(schema)}`
    case "String":
      return "strings"
    default:
      return "objects"
  }
}

function bounds(schema: TSchema): string {
  const least: unknown = schema["minimum"]
  const most: unknown = schema["maximum"]
  if (least !== undefined && most !== undefined) return ` between ${least} and ${most}`
  if (least !== undefined) return ` of at least ${least}`
  return most === undefined ? "" : ` of at most ${most}`
}

/** A value in a few characters: messages must not be as long as the request. */
export function describeValue(value: unknown): string {
  if (value === undefined) return "nothing"
  if (Array.isArray(value)) return `a list of ${value.length} entries`
  if (typeof value === "object" && value !== null) return `an object with ${Object.keys(value).length} fields`
  const text = typeof value === "string" ? JSON.stringify(value.slice(0, MAX_SHOWN + 1)) : String(value)
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}...` : text
}
