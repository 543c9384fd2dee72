/** Turns a request body of unknown shape into the type of its schema, or into a 400 that says what is wrong where. */
import { Kind } from "@sinclair/typebox"
import type { Static, TObject, TSchema } from "@sinclair/typebox"
import { TypeCompiler } from "@sinclair/typebox/compiler"
import type { TypeCheck } from "@sinclair/typebox/compiler"
import { ValueErrorType } from "@sinclair/typebox/errors"
import type { ValueError } from "@sinclair/typebox/errors"
import { RequestError } from "../../base/errors.ts"
import { coerce, isRecord } from "./coerce.ts"
import { describeSchema, describeValue } from "./describe.ts"

export type BodyParser<T extends TSchema> = (body: unknown) => Static<T>

/** Compiling takes longer than anything else here, so it is done when a schema is first needed, once. */
const compiledSchemas = new WeakMap<TSchema, unknown>()

function compiledSchema<T extends TSchema>(schema: T): TypeCheck<T> {
  let compiled = compiledSchemas.get(schema) as TypeCheck<T> | undefined
  if (compiled === undefined) compiledSchemas.set(schema, (compiled = TypeCompiler.Compile(schema)))
  return compiled
}

/**
 * The parser gives the body itself when it fits, a coerced copy when it fits in lax reading.
 *
 * Errors: `RequestError` of type "Bad Request" whose `param` is the dotted path from "body".
 */
export function bodyParser<T extends TObject>(schema: T): BodyParser<T> {
  return (body) => {
    const compiled = compiledSchema(schema)
    if (compiled.Check(body)) return body
    if (!isRecord(body)) throw shapeError("body", `Input should be an object, got ${describeValue(body)}`)
    const read = coerce(schema, body)
    if (compiled.Check(read)) return read
    throw schemaError(schema, compiled, read as Readonly<Record<string, unknown>>)
  }
}

/** A request whose shape is wrong. `path` is dotted and begins with "body" or "query". */
export function shapeError(path: string, message: string): RequestError {
  return new RequestError(`1 validation error: ${path}: ${message}`, { type: "Bad Request", param: path })
}

/** A field that is missing at the top comes first. Only the first error is looked for: a body may have millions. */
function schemaError(
  schema: TObject, compiled: TypeCheck<TObject>, body: Readonly<Record<string, unknown>>,
): RequestError {
  const missing = schema.required?.find((name) => !Object.hasOwn(body, name))
  if (missing !== undefined) return shapeError(`body.${missing}`, "Field required")
  const first = compiled.Errors(body).First()
  if (first === undefined) return shapeError("body", "Input does not fit the schema")
  const error = closest(first)
  if (error.type === ValueErrorType.ObjectRequiredProperty) return shapeError(dotted(error.path), "Field required")
  const wanted = describeSchema(error.schema)
  return shapeError(dotted(error.path), `Input should be ${wanted}, got ${describeValue(error.value)}`)
}

/** Inside a union: the error of the branch that fits longest, because that is the one the caller meant. */
function closest(error: ValueError): ValueError {
  if (error.schema[Kind] !== "Union") return error
  let best = error
  for (const branch of error.errors) {
    const first = branch.First()
    if (first === undefined) continue
    const candidate = closest(first)
    const deeper = depth(candidate) - depth(best)
    const isNearer = deeper === 0 && best !== error && isSameKind(candidate) && !isSameKind(best)
    if (deeper > 0 || isNearer) best = candidate
  }
  return best
}

/** The value is of the kind that was asked for, but outside its bounds. */
function isSameKind({ schema, value }: ValueError): boolean {
  const kind = Array.isArray(value) ? "array" : typeof value
  return schema["type"] === kind || (schema["type"] === "integer" && kind === "number")
}

function depth(error: ValueError): number {
  return error.path.split("/").length - 1
}

/** "/messages/0/content" -> "body.messages.0.content" */
function dotted(path: string): string {
  return `body${path.replaceAll("/", ".").replaceAll("~1", "/").replaceAll("~0", "~")}`
}
