/** Conjunctions of schemas: what stands at one place of a value. Equal ones are one object, so that recursion ends. */
import { pointer } from "./schema-error.ts"

/** What identifiers inside are relative to: the document, or a schema in it with an identifier of its own. */
export interface Resource {
  readonly uri: string
  readonly root: unknown
  readonly path: string
}

/** A schema at a place of the document. */
export interface Site {
  readonly schema: unknown
  /** JSON pointer, for messages. */
  readonly path: string
  readonly resource: Resource
}

export interface Atom {
  readonly site: Site
  readonly isNegated: boolean
}

export interface Node {
  readonly id: number
  /** None: anything goes. */
  readonly atoms: readonly Atom[]
}

export class Nodes {
  readonly #siteIds = new Map<object | string, number>()
  readonly #nodes = new Map<string, Node>()
  readonly free: Node = this.of([])

  get size(): number {
    return this.#nodes.size
  }

  /** The schema at `site`, or its opposite. */
  at(site: Site, isNegated = false): Node {
    if (site.schema === true && !isNegated) return this.free
    return this.of([{ site, isNegated }])
  }

  both(a: Node, b: Node): Node {
    if (a === b || b.atoms.length === 0) return a
    return a.atoms.length === 0 ? b : this.of([...a.atoms, ...b.atoms])
  }

  /** What `node` does not admit; only of nodes with one schema. */
  opposite(node: Node): Node | null {
    const [atom] = node.atoms
    if (node.atoms.length !== 1 || atom === undefined) return null
    return this.at(atom.site, !atom.isNegated)
  }

  of(atoms: readonly Atom[]): Node {
    const byKey = new Map(atoms.map((atom) => [this.#atomKey(atom), atom]))
    const keys = [...byKey.keys()].sort()
    const key = keys.join()
    let node = this.#nodes.get(key)
    if (node === undefined) {
      node = { id: this.#nodes.size, atoms: keys.map((each) => byKey.get(each)!) }
      this.#nodes.set(key, node)
    }
    return node
  }

  #atomKey({ site, isNegated }: Atom): string {
    const { schema } = site
    const key = typeof schema === "object" && schema !== null ? schema : JSON.stringify(schema)
    if (!this.#siteIds.has(key)) this.#siteIds.set(key, this.#siteIds.size)
    return `${isNegated ? "-" : ""}${this.#siteIds.get(key)}`
  }
}

/** The schema under `keyword`, and under the steps after it. */
export function below(site: Site, schema: unknown, ...steps: readonly (string | number)[]): Site {
  return { schema, path: pointer(site.path, ...steps), resource: site.resource }
}
