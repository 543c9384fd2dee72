/** Keywords that put schemas together. */
import { listOf, mapOf, namesOf, type Expanding, type Keyword } from "./keyword.ts"
import { Disjointness } from "./disjoint.ts"
import { below, type Site } from "./node.ts"
import { SchemaError } from "./schema-error.ts"
import { ANY_OBJECT, eitherShape, NOTHING, type Shape } from "./shape.ts"

/** Options of an "anyOf" whose combinations are looked at one by one, where it matters which of them hold. */
const MAX_COMBINED = 4

function branches(value: unknown, keyword: string, site: Site, expander: Expanding): Shape[] {
  const list = listOf(value, keyword, site)
  if (list.length === 0) throw new SchemaError(keyword, site.path, "must not be empty")
  return list.map((each, i) => expander.shapeOfSite(below(site, each, keyword, i)))
}

function either(shapes: readonly Shape[]): Shape {
  return shapes.reduce(eitherShape, NOTHING)
}

/** An object without `name`, or one with it that is in `shape` as well. */
function ifPresent(name: string, shape: Shape, site: Site, expander: Expanding): Shape {
  const present: Shape = { ...expander.all, objects: [{ ...ANY_OBJECT, required: [name] }] }
  const both = expander.both(present, shape, "dependentSchemas", site)
  const absent = { ...expander.negated({ ...NOTHING, objects: present.objects }, "dependentSchemas", site) }
  return eitherShape(absent, { ...NOTHING, objects: both.objects })
}

function requires(name: string, value: unknown, keyword: string, site: Site, expander: Expanding): Shape {
  const required = namesOf(value, keyword, site)
  return ifPresent(name, { ...expander.all, objects: [{ ...ANY_OBJECT, required }] }, site, expander)
}

function all(shapes: readonly Shape[], keyword: string, site: Site, expander: Expanding): Shape {
  return shapes.reduce((shape, next) => expander.both(shape, next, keyword, site), expander.all)
}

export const LOGIC_KEYWORDS: Readonly<Record<string, Keyword>> = {
  $ref: (value, site, expander) => expander.shapeOfSite(expander.document.resolve(site, "$ref", value)),
  $dynamicRef: (value, site, expander) => expander.shapeOfSite(expander.document.resolveDynamic(site, value)),

  allOf: (value, site, expander) => all(branches(value, "allOf", site, expander), "allOf", site, expander),
  anyOf: (value, site, expander) => {
    const options = branches(value, "anyOf", site, expander)
    if (!expander.document.hasUnevaluated || options.length > MAX_COMBINED) return either(options)
    const subsetOf = (bits: number) => options.filter((_, i) => (bits >> i) & 1)
    const subsets = Array.from({ length: 2 ** options.length - 1 }, (_, i) => subsetOf(i + 1))
    return either(subsets.map((subset) => all(subset, "anyOf", site, expander)))
  },
  oneOf: (value, site, expander) => {
    const options = branches(value, "oneOf", site, expander)
    const disjointness = new Disjointness(expander.nodes, (node) => expander.shapeOf(node))
    const opposites = options.map(() => null as Shape | null)
    return either(options.map((option, i) => {
      const rivals = options.flatMap((other, j) => (j === i || disjointness.areDisjoint(option, other) ? [] : [j]))
      const denied = rivals.map((j) => (opposites[j] ??= expander.negated(options[j]!, "oneOf", site)))
      return all([option, ...denied], "oneOf", site, expander)
    }))
  },
  not: (value, site, expander) => expander.negated(expander.shapeOfSite(below(site, value, "not")), "not", site),
  if: (value, site, expander) => {
    const { then, else: otherwise } = site.schema
    if (then === undefined && otherwise === undefined && !expander.document.hasUnevaluated) return null
    const condition = expander.shapeOfSite(below(site, value, "if"))
    const yes = then === undefined ? expander.all : expander.shapeOfSite(below(site, then, "then"))
    const no = otherwise === undefined ? expander.all : expander.shapeOfSite(below(site, otherwise, "else"))
    const opposite = expander.negated(condition, "if", site)
    return eitherShape(expander.both(condition, yes, "if", site), expander.both(opposite, no, "if", site))
  },

  dependentSchemas: (value, site, expander) => all(
    Object.entries(mapOf(value, "dependentSchemas", site)).map(([name, schema]) =>
      ifPresent(name, expander.shapeOfSite(below(site, schema, "dependentSchemas", name)), site, expander)),
    "dependentSchemas", site, expander,
  ),
  dependentRequired: (value, site, expander) => all(
    Object.entries(mapOf(value, "dependentRequired", site)).map(([name, names]) =>
      requires(name, names, "dependentRequired", site, expander)),
    "dependentRequired", site, expander,
  ),
  // Both of them, as drafts up to 7 have it.
  dependencies: (value, site, expander) => all(
    Object.entries(mapOf(value, "dependencies", site)).map(([name, each]) => (Array.isArray(each)
      ? requires(name, each, "dependencies", site, expander)
      : ifPresent(name, expander.shapeOfSite(below(site, each, "dependencies", name)), site, expander))),
    "dependencies", site, expander,
  ),
}
