/** Keywords about objects. */
import { ANY_TEXT, literals, not, or, type Automaton } from "../automata/automaton.ts"
import { countOf, mapOf, namesOf, type Expanding, type Keyword, type ObjectSite } from "./keyword.ts"
import { below } from "./node.ts"
import { patternOf } from "./pattern.ts"
import { isObject } from "./references.ts"
import { ANY_OBJECT, nameRule, type KeyRule, type ObjectShape, type Shape } from "./shape.ts"

function objects(expander: Expanding, changes: Partial<ObjectShape>): Shape {
  return { ...expander.all, objects: [{ ...ANY_OBJECT, ...changes }] }
}

/** The keys that "properties" and "patternProperties" of `site` speak about. */
function ownKeys(site: ObjectSite): Automaton[] {
  const { properties, patternProperties } = site.schema
  const names = isObject(properties) ? Object.keys(properties) : []
  const patterns = isObject(patternProperties) ? Object.keys(patternProperties) : []
  return [
    ...(names.length > 0 ? [literals(names)] : []),
    ...patterns.map((source) => patternOf(source, "patternProperties", site)),
  ]
}

function exceptKeys(keys: readonly Automaton[]): Automaton {
  return keys.length === 0 ? ANY_TEXT : not(or(...keys))
}

export const OBJECT_KEYWORDS = {
  ordinary: {
    properties: (value, site, expander) => {
      const entries = Object.entries(mapOf(value, "properties", site))
      const rules = entries.map(([name, schema]) =>
        nameRule(name, expander.nodes.at(below(site, schema, "properties", name))))
      return objects(expander, { rules, evaluated: [literals(entries.map(([name]) => name))] })
    },
    patternProperties: (value, site, expander) => {
      const rules = Object.entries(mapOf(value, "patternProperties", site)).map(([source, schema]): KeyRule => ({
        name: null,
        keys: patternOf(source, "patternProperties", site),
        node: expander.nodes.at(below(site, schema, "patternProperties", source)),
      }))
      return objects(expander, { rules, evaluated: rules.map(({ keys }) => keys) })
    },
    additionalProperties: (value, site, expander) => {
      const node = expander.nodes.at(below(site, value, "additionalProperties"))
      const rules = [{ name: null, keys: exceptKeys(ownKeys(site)), node }]
      return objects(expander, { rules, evaluated: [ANY_TEXT] })
    },
    propertyNames: (value, site, expander) => {
      const names = expander.shapeOfSite(below(site, value, "propertyNames")).strings
      if (names === "all") return null
      const keys = names === null ? ANY_TEXT : not(names)
      const node = expander.nodes.at({ ...site, schema: false })
      return objects(expander, { rules: [{ name: null, keys, node }] })
    },
    required: (value, site, expander) => objects(expander, { required: namesOf(value, "required", site) }),
    minProperties: (value, site, expander) => objects(expander, { min: countOf(value, "minProperties", site) }),
    maxProperties: (value, site, expander) => objects(expander, { max: countOf(value, "maxProperties", site) }),
  } satisfies Readonly<Record<string, Keyword>>,

  unevaluated: (shape: Shape, site: ObjectSite, expander: Expanding): Shape => {
    const value = site.schema["unevaluatedProperties"]
    if (value === undefined) return shape
    const node = expander.nodes.at(below(site, value, "unevaluatedProperties"))
    const apply = (object: ObjectShape): ObjectShape => {
      if (object.evaluated.includes(ANY_TEXT)) return object
      const keys = exceptKeys(object.evaluated)
      return { ...object, rules: [...object.rules, { name: null, keys, node }], evaluated: [ANY_TEXT] }
    }
    return { ...shape, objects: shape.objects.map(apply) }
  },
}

