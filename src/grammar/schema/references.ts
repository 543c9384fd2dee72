/**
 * Where the schemas of a document are: by identifier, anchor and JSON pointer. Nothing outside of it is ever fetched.
 */
import { below, type Site } from "./node.ts"
import { SchemaError } from "./schema-error.ts"

export type Draft = "2020-12" | "7"

const DOCUMENT_URI = "https://schema.invalid/"
const OLD_DRAFTS = /draft-0[3-7]/

const ONE: readonly string[] = [
  "additionalItems", "additionalProperties", "contains", "else", "if", "items", "not", "propertyNames", "then",
  "unevaluatedItems", "unevaluatedProperties",
]
const LISTS: readonly string[] = ["allOf", "anyOf", "items", "oneOf", "prefixItems"]
const MAPS: readonly string[] = [
  "$defs", "definitions", "dependencies", "dependentSchemas", "patternProperties", "properties",
]

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value)
}

export class Document {
  readonly root: Site
  readonly draft: Draft
  /** Whether a keyword asks what other keywords have spoken about. */
  readonly hasUnevaluated: boolean
  readonly #resources = new Map<string, Site>()
  readonly #anchors = new Map<string, Site>()
  /** Sites of each name that `$dynamicAnchor` gives. */
  readonly #dynamicAnchors = new Map<string, Site[]>()
  readonly #sites = new Map<object, Site>()

  /** Errors: `SchemaError` for an identifier that is not one. */
  constructor(schema: unknown, draft: Draft) {
    const named = isObject(schema) ? schema["$schema"] : undefined
    this.draft = typeof named === "string" ? (OLD_DRAFTS.test(named) ? "7" : "2020-12") : draft
    this.root = { schema, path: "", resource: { uri: DOCUMENT_URI, root: schema, path: "" } }
    this.#resources.set(DOCUMENT_URI, this.root)
    this.#index(this.root)
    this.root = (isObject(schema) ? this.#sites.get(schema) : undefined) ?? this.root
    const asks = (each: object) => "unevaluatedProperties" in each || "unevaluatedItems" in each
    this.hasUnevaluated = [...this.#sites.keys()].some(asks)
  }

  /** Errors: `SchemaError` if `reference` leads out of the document or nowhere. */
  resolve(site: Site, keyword: string, reference: unknown): Site {
    if (typeof reference !== "string") throw new SchemaError(keyword, site.path, "must be a string")
    const uri = resolveUri(reference, site, keyword)
    const hash = uri.indexOf("#")
    const [address, fragment] = hash < 0 ? [uri, ""] : [uri.slice(0, hash), decode(uri.slice(hash + 1))]
    const resource = this.#resources.get(address)
    if (resource === undefined) {
      throw new SchemaError(keyword, site.path, `refers to ${reference}, which is outside of the schema`)
    }
    const target = fragment === "" ? resource : fragment.startsWith("/")
      ? this.#follow(resource, fragment) : this.#anchors.get(`${address}#${fragment}`)
    if (target === undefined) throw new SchemaError(keyword, site.path, `refers to ${reference}, which is not there`)
    return target
  }

  /** As `resolve`; what depends on the way by which one has come there is refused. */
  resolveDynamic(site: Site, reference: unknown): Site {
    const target = this.resolve(site, "$dynamicRef", reference)
    const name = isObject(target.schema) ? target.schema["$dynamicAnchor"] : undefined
    const isDynamic = typeof name === "string" && String(reference).endsWith(`#${name}`)
    if (isDynamic && this.#dynamicAnchors.get(name)!.length > 1) {
      const reason = `depends on which "$dynamicAnchor" ${name} is met first: use "$ref"`
      throw new SchemaError("$dynamicRef", site.path, reason)
    }
    return target
  }

  #follow(resource: Site, fragment: string): Site | undefined {
    let at = resource
    for (const step of fragment.slice(1).split("/").map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"))) {
      const { schema } = at
      const isThere = (isObject(schema) && Object.hasOwn(schema, step)) || (Array.isArray(schema) && step in schema)
      if (!isThere) return undefined
      const next = (schema as Record<string, unknown>)[step]
      at = (typeof next === "object" && next !== null ? this.#sites.get(next) : undefined) ?? below(at, next, step)
    }
    return at
  }

  #index(parent: Site): void {
    const { schema } = parent
    if (!isObject(schema)) return
    const site = this.#identified(parent)
    this.#sites.set(schema, site)
    for (const key of ONE) if (isObject(schema[key])) this.#index(below(site, schema[key], key))
    for (const key of LISTS) {
      const list = schema[key]
      if (Array.isArray(list)) list.forEach((each, i) => this.#index(below(site, each, key, i)))
    }
    for (const key of MAPS) {
      const map = schema[key]
      if (isObject(map)) for (const [name, each] of Object.entries(map)) this.#index(below(site, each, key, name))
    }
  }

  /** Enters what the schema calls itself. */
  #identified(site: Site): Site {
    const schema = site.schema as Readonly<Record<string, unknown>>
    const id = schema["$id"]
    // In draft 7 nothing beside "$ref" counts.
    if (typeof id !== "string" || (this.draft === "7" && "$ref" in schema)) return this.#anchored(site)
    const uri = resolveUri(id, site, "$id")
    const [address, fragment] = uri.split("#") as [string, string?]
    if (id.startsWith("#")) {
      this.#anchors.set(uri, site)
      return this.#anchored(site)
    }
    const own = { ...site, resource: { uri: address, root: schema, path: site.path } }
    this.#resources.set(address, own)
    if (fragment) this.#anchors.set(uri, own)
    return this.#anchored(own)
  }

  #anchored(site: Site): Site {
    const schema = site.schema as Readonly<Record<string, unknown>>
    for (const key of ["$anchor", "$dynamicAnchor"]) {
      const name = schema[key]
      if (typeof name !== "string") continue
      this.#anchors.set(`${site.resource.uri}#${name}`, site)
      if (key === "$dynamicAnchor") this.#dynamicAnchors.set(name, [...(this.#dynamicAnchors.get(name) ?? []), site])
    }
    return site
  }
}

function resolveUri(reference: string, site: Site, keyword: string): string {
  try {
    return new URL(reference, site.resource.uri).href
  } catch {
    throw new SchemaError(keyword, site.path, `is ${JSON.stringify(reference)}, which is not a URI reference`)
  }
}

function decode(fragment: string): string {
  try {
    return decodeURIComponent(fragment)
  } catch {
    return fragment
  }
}
