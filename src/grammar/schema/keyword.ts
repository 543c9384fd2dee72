/** What a keyword is made of, and how it reads its value. */
import type { Node, Nodes, Site } from "./node.ts"
import { isObject, type Document } from "./references.ts"
import { SchemaError } from "./schema-error.ts"
import type { Shape } from "./shape.ts"

export type ObjectSite = Site & { readonly schema: Readonly<Record<string, unknown>> }

/** What keywords use of the expander. Errors of all: `SchemaError`. */
export interface Expanding {
  readonly nodes: Nodes
  readonly document: Document
  /** All values. */
  readonly all: Shape
  shapeOf(node: Node): Shape
  shapeOfSite(site: Site): Shape
  /** `keyword` and `site` are named if that is too much. */
  both(a: Shape, b: Shape, keyword: string, site: Site): Shape
  negated(shape: Shape, keyword: string, site: Site): Shape
}

/** What is left of all values by one keyword, beside the others of the schema at `site`. Null: all of them. */
export type Keyword = (value: unknown, site: ObjectSite, expander: Expanding) => Shape | null

export function kindOf(value: unknown): string {
  return value === null ? "null" : Array.isArray(value) ? "an array" : `a ${typeof value}`
}

/** Errors: `SchemaError` unless `value` is a whole number from 0 up. */
export function countOf(value: unknown, keyword: string, { path }: Site): number {
  if (Number.isInteger(value) && (value as number) >= 0) return value as number
  throw new SchemaError(keyword, path, `must be a whole number from 0 up, got ${JSON.stringify(value)}`)
}

export function mapOf(value: unknown, keyword: string, { path }: Site): Readonly<Record<string, unknown>> {
  if (isObject(value)) return value
  throw new SchemaError(keyword, path, `must be an object, got ${kindOf(value)}`)
}

export function listOf(value: unknown, keyword: string, { path }: Site): readonly unknown[] {
  if (Array.isArray(value)) return value
  throw new SchemaError(keyword, path, `must be an array, got ${kindOf(value)}`)
}

export function namesOf(value: unknown, keyword: string, site: Site): readonly string[] {
  const names = listOf(value, keyword, site)
  if (names.every((name) => typeof name === "string")) return names
  throw new SchemaError(keyword, site.path, "must be an array of strings")
}
