/** Whether two shapes have no value in common, as far as can be told without looking deep. */
import { and, holds } from "../automata/automaton.ts"
import { explore, TooManyStates } from "../automata/dfa.ts"
import type { Node, Nodes } from "./node.ts"
import { SchemaError } from "./schema-error.ts"
import type { ArrayShape, Language, ObjectShape, Shape } from "./shape.ts"

const MAX_STATES = 5000

export class Disjointness {
  readonly #nodes: Nodes
  readonly #shapeOf: (node: Node) => Shape

  constructor(nodes: Nodes, shapeOf: (node: Node) => Shape) {
    this.#nodes = nodes
    this.#shapeOf = shapeOf
  }

  /** False also where it is not known. */
  areDisjoint(a: Shape, b: Shape): boolean {
    if (a.hasNull && b.hasNull) return false
    if (a.booleans.some((value) => b.booleans.includes(value))) return false
    if (!areLanguagesDisjoint(a.numbers, b.numbers) || !areLanguagesDisjoint(a.strings, b.strings)) return false
    const arrays = a.arrays.every((one) => b.arrays.every((other) => this.#areArraysDisjoint(one, other)))
    return arrays && a.objects.every((one) => b.objects.every((other) => this.#areObjectsDisjoint(one, other)))
  }

  #areArraysDisjoint(a: ArrayShape, b: ArrayShape): boolean {
    if (a.max < b.min || b.max < a.min) return true
    const common = Math.min(Math.max(a.min, b.min), Math.max(a.prefix.length, b.prefix.length) + 1)
    return Array.from({ length: common }, (_, i) => i)
      .some((i) => this.#areNodesDisjoint(a.prefix[i] ?? a.rest, b.prefix[i] ?? b.rest))
  }

  #areObjectsDisjoint(a: ObjectShape, b: ObjectShape): boolean {
    if (a.max < b.min || b.max < a.min) return true
    const names = new Set([...a.required, ...b.required])
    return [...names].some((name) => this.#areNodesDisjoint(this.#valueNode(a, name), this.#valueNode(b, name)))
  }

  /** What the value under `name` has to be. */
  #valueNode({ rules }: ObjectShape, name: string): Node {
    return rules.filter(({ keys }) => holds(keys, name))
      .reduce((node, rule) => this.#nodes.both(node, rule.node), this.#nodes.free)
  }

  #areNodesDisjoint(a: Node, b: Node): boolean {
    try {
      return this.areDisjoint(this.#shapeOf(a), this.#shapeOf(b))
    } catch (error) {
      // A schema that leads back to the one that is being looked into.
      if (error instanceof SchemaError) return false
      throw error
    }
  }
}

function areLanguagesDisjoint(a: Language, b: Language): boolean {
  if (a === null || b === null) return true
  if (a === "all" || b === "all") return false
  try {
    return explore(and(a, b), MAX_STATES) === null
  } catch (error) {
    if (error instanceof TooManyStates) return false
    throw error
  }
}

