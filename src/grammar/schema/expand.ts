/** From schemas to shapes: what each keyword leaves of all values. */
import { ARRAY_KEYWORDS } from "./array-keywords.ts"
import { LOGIC_KEYWORDS } from "./logic-keywords.ts"
import { Nodes, type Node, type Site } from "./node.ts"
import { OBJECT_KEYWORDS } from "./object-keywords.ts"
import { Document, isObject } from "./references.ts"
import { SchemaError } from "./schema-error.ts"
import { anything, bothShapes, NOTHING, type Shape } from "./shape.ts"
import { VALUE_KEYWORDS } from "./value-keywords.ts"
import { MAX_ALTERNATIVES, Negation } from "./negate.ts"

/** What is left of all values by one keyword, beside the others of `schema`. Null: all of them. */
export type Keyword = (
  value: unknown, site: Site & { readonly schema: Readonly<Record<string, unknown>> }, expander: Expander,
) => Shape | null

/** In order: the last ones ask what those before them have spoken about. */
const KEYWORDS: ReadonlyMap<string, Keyword> = new Map(Object.entries({
  ...LOGIC_KEYWORDS, ...VALUE_KEYWORDS, ...ARRAY_KEYWORDS.ordinary, ...OBJECT_KEYWORDS.ordinary,
}))

const MAX_NODES = 20_000

export class Expander {
  readonly nodes = new Nodes()
  readonly document: Document
  /** All values. */
  readonly all: Shape
  readonly #shapes = new Map<Node, Shape>()
  /** Null: being looked into. */
  readonly #siteShapes = new Map<object, Shape | null>()

  constructor(document: Document) {
    this.document = document
    this.all = anything(this.nodes.any)
  }

  /** Errors: `SchemaError`. */
  shapeOf(node: Node): Shape {
    let shape = this.#shapes.get(node)
    if (shape !== undefined) return shape
    if (this.nodes.size > MAX_NODES) throw new SchemaError(null, "", `comes to more than ${MAX_NODES} combinations`)
    shape = this.all
    for (const { site, isNegated } of node.atoms) {
      const own = this.shapeOfSite(site)
      shape = this.both(shape, isNegated ? this.negated(own, "not", site) : own, "allOf", site)
    }
    this.#shapes.set(node, shape)
    return shape
  }

  shapeOfSite(site: Site): Shape {
    const { schema, path } = site
    if (schema === true) return this.all
    if (schema === false) return NOTHING
    if (!isObject(schema)) throw new SchemaError(null, path, `must be an object or a boolean, got ${kindOf(schema)}`)
    const known = this.#siteShapes.get(schema)
    if (known === null) throw new SchemaError("$ref", path, "leads back to itself without anything in between")
    if (known !== undefined) return known
    this.#siteShapes.set(schema, null)
    const shape = this.#expand({ ...site, schema })
    this.#siteShapes.set(schema, shape)
    return shape
  }

  #expand(site: Site & { readonly schema: Readonly<Record<string, unknown>> }): Shape {
    const { schema } = site
    const isReferenceAlone = this.document.draft === "7" && "$ref" in schema
    const keys = isReferenceAlone ? ["$ref"] : Object.keys(schema)
    let shape = this.all
    for (const key of keys) {
      const narrowed = KEYWORDS.get(key)?.(schema[key], site, this) ?? null
      if (narrowed !== null) shape = this.both(shape, narrowed, key, site)
    }
    if (isReferenceAlone) return shape
    shape = OBJECT_KEYWORDS.unevaluated(shape, site, this)
    return ARRAY_KEYWORDS.unevaluated(shape, site, this)
  }

  both(a: Shape, b: Shape, keyword: string, { path }: Site): Shape {
    const shape = bothShapes(a, b, this.nodes)
    if (Math.max(shape.arrays.length, shape.objects.length) > MAX_ALTERNATIVES) {
      throw new SchemaError(keyword, path, `comes to more than ${MAX_ALTERNATIVES} alternatives`)
    }
    return shape
  }

  negated(shape: Shape, keyword: string, { path }: Site): Shape {
    return new Negation(this.nodes, (node) => this.shapeOf(node), keyword, path).of(shape)
  }
}

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
