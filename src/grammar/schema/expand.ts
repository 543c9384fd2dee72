/** From schemas to shapes: what each keyword leaves of all values. */
import { ARRAY_KEYWORDS } from "./array-keywords.ts"
import { LOGIC_KEYWORDS } from "./logic-keywords.ts"
import { kindOf, type Expanding, type Keyword, type ObjectSite } from "./keyword.ts"
import { Nodes, type Node, type Site } from "./node.ts"
import { OBJECT_KEYWORDS } from "./object-keywords.ts"
import { Document, isObject } from "./references.ts"
import { SchemaError } from "./schema-error.ts"
import { anything, bothShapes, NOTHING, type Shape } from "./shape.ts"
import { VALUE_KEYWORDS } from "./value-keywords.ts"
import { MAX_ALTERNATIVES, Negation } from "./negate.ts"

/** In order: the last ones ask what those before them have spoken about. */
const KEYWORDS: ReadonlyMap<string, Keyword> = new Map(Object.entries({
  ...LOGIC_KEYWORDS, ...VALUE_KEYWORDS, ...ARRAY_KEYWORDS.ordinary, ...OBJECT_KEYWORDS.ordinary,
}))

const MAX_NODES = 20_000

export class Expander implements Expanding {
  readonly nodes = new Nodes()
  readonly document: Document
  /** All values. */
  readonly all: Shape
  readonly #shapes = new Map<Node, Shape>()
  /** Null: being looked into. */
  readonly #siteShapes = new Map<object, Shape | null>()

  constructor(document: Document) {
    this.document = document
    this.all = anything(this.nodes.free)
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

  #expand(site: ObjectSite): Shape {
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
