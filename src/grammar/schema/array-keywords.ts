/** Keywords about arrays. */
import { countOf, listOf, type Expanding, type Keyword, type ObjectSite } from "./keyword.ts"
import { below, type Site } from "./node.ts"
import { SchemaError } from "./schema-error.ts"
import { anyArray, type ArrayShape, type Shape } from "./shape.ts"

function arrays(expander: Expanding, changes: Partial<ArrayShape>): Shape {
  return { ...expander.all, arrays: [{ ...anyArray(expander.nodes.free), ...changes }] }
}

function tuple(value: unknown, keyword: string, site: Site, expander: Expanding): Shape {
  const prefix = listOf(value, keyword, site).map((each, i) => expander.nodes.at(below(site, each, keyword, i)))
  return arrays(expander, { prefix, evaluated: prefix.length })
}

/** Items after those of `tupleKeyword`, if that is a list. */
function afterTuple(value: unknown, keyword: string, tuple: unknown, site: Site, expander: Expanding): Shape {
  const { nodes } = expander
  const prefix = Array.isArray(tuple) ? tuple.map(() => nodes.free) : []
  return arrays(expander, { prefix, rest: nodes.at(below(site, value, keyword)), evaluated: Infinity })
}

export const ARRAY_KEYWORDS = {
  ordinary: {
    prefixItems: (value, site, expander) => tuple(value, "prefixItems", site, expander),
    // A list of them is how drafts up to 2019 write prefixItems.
    items: (value, site, expander) => (Array.isArray(value)
      ? tuple(value, "items", site, expander)
      : afterTuple(value, "items", site.schema["prefixItems"], site, expander)),
    additionalItems: (value, site, expander) => (Array.isArray(site.schema["items"])
      ? afterTuple(value, "additionalItems", site.schema["items"], site, expander)
      : null),
    minItems: (value, site, expander) => arrays(expander, { min: countOf(value, "minItems", site) }),
    maxItems: (value, site, expander) => arrays(expander, { max: countOf(value, "maxItems", site) }),
    uniqueItems: (value, site, expander) => {
      if (value !== true || isSingle(site.schema["maxItems"])) return null
      const reason = "cannot be enforced by a grammar: leave it out, or set \"maxItems\": 1"
      return arrays(expander, { refusal: new SchemaError("uniqueItems", site.path, reason) })
    },
    contains: (value, site, expander) => {
      const { minContains = 1, maxContains = Infinity } = site.schema
      const min = countOf(minContains, "minContains", site)
      const max = maxContains === Infinity ? Infinity : countOf(maxContains, "maxContains", site)
      return arrays(expander, { contains: [{ node: expander.nodes.at(below(site, value, "contains")), min, max }] })
    },
  } satisfies Readonly<Record<string, Keyword>>,

  unevaluated: (
    shape: Shape, site: ObjectSite, expander: Expanding,
  ): Shape => {
    const value = site.schema["unevaluatedItems"]
    if (value === undefined) return shape
    const { nodes } = expander
    const apply = (array: ArrayShape): ArrayShape => {
      if (array.evaluated === Infinity) return array
      if (array.contains.length > 0) {
        throw new SchemaError("unevaluatedItems", site.path, "beside \"contains\" cannot be enforced by a grammar")
      }
      const length = Math.max(array.prefix.length, array.evaluated)
      const node = nodes.at(below(site, value, "unevaluatedItems"))
      const prefix = Array.from({ length }, (_, i) => {
        const own = array.prefix[i] ?? array.rest
        return i < array.evaluated ? own : nodes.both(own, node)
      })
      return { ...array, prefix, rest: nodes.both(array.rest, node), evaluated: Infinity }
    }
    return { ...shape, arrays: shape.arrays.map(apply) }
  },
}

function isSingle(maxItems: unknown): boolean {
  return typeof maxItems === "number" && maxItems <= 1
}

