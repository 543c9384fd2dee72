/** Short spellings for the schemas of this folder. */
import { Type } from "@sinclair/typebox"
import type { ObjectOptions, TSchema } from "@sinclair/typebox"

/** Of a schema whose values are taken as they are: true is no number there. */
export const STRICT = "x-strict"

/** A field that may be left out or null, which mean the same. */
export function optional<T extends TSchema>(schema: T) {
  return Type.Optional(Type.Union([schema, Type.Null()]))
}

/** A field that is always written, null when it has nothing to say. */
export function nullable<T extends TSchema>(schema: T) {
  return Type.Union([schema, Type.Null()])
}

/** What ends every stream of completions. */
export const StreamEnd = Type.Literal("[DONE]")

export const TokenIdSchema = Type.Integer({ minimum: 0 })
/** Fits every key. TypeBox's own pattern fits none with a line break in it, and lets its value be anything. */
export const ANY_KEY = "^"

/** An object with any keys. */
export function mapOf<T extends TSchema>(schema: T, options: ObjectOptions = {}) {
  return Type.Record(Type.String({ pattern: ANY_KEY }), schema, options)
}

export const JsonObject = mapOf(Type.Unknown())
