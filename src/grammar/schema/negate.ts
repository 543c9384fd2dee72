/** What a shape does not admit: for "not", "if" and "oneOf". */
import { anyDecimal } from "../automata/decimals.ts"
import { ANY_TEXT } from "../automata/automaton.ts"
import type { Node, Nodes } from "./node.ts"
import { SchemaError } from "./schema-error.ts"
import {
  ANY_OBJECT, anyArray, anything, bothShapes, isNothing, nameRule, notLanguage, type ArrayShape, type ObjectShape,
  type Shape,
} from "./shape.ts"

/** Beyond so many alternatives a grammar helps nobody. */
export const MAX_ALTERNATIVES = 256

export class Negation {
  readonly #nodes: Nodes
  readonly #shapeOf: (node: Node) => Shape
  readonly #keyword: string
  readonly #path: string

  /** `keyword` and `path` are named by the `SchemaError` for what has no opposite. */
  constructor(nodes: Nodes, shapeOf: (node: Node) => Shape, keyword: string, path: string) {
    this.#nodes = nodes
    this.#shapeOf = shapeOf
    this.#keyword = keyword
    this.#path = path
  }

  of(shape: Shape): Shape {
    const { free } = this.#nodes
    const all = anything(free)
    let rest: Shape = {
      hasNull: !shape.hasNull,
      booleans: [true, false].filter((value) => !shape.booleans.includes(value)),
      numbers: notLanguage(shape.numbers, anyDecimal()),
      strings: notLanguage(shape.strings, ANY_TEXT),
      arrays: [anyArray(free)],
      objects: [ANY_OBJECT],
    }
    for (const array of shape.arrays) {
      rest = bothShapes(rest, { ...all, arrays: this.#notArray(array) }, this.#nodes)
      this.#check(rest.arrays.length)
    }
    for (const object of shape.objects) {
      rest = bothShapes(rest, { ...all, objects: this.#notObject(object) }, this.#nodes)
      this.#check(rest.objects.length)
    }
    return rest
  }

  #check(count: number): void {
    if (count > MAX_ALTERNATIVES) throw this.#refuse(`comes to more than ${MAX_ALTERNATIVES} alternatives`)
  }

  #refuse(reason: string): SchemaError {
    return new SchemaError(this.#keyword, this.#path, reason)
  }

  #opposite(node: Node): Node {
    const opposite = this.#nodes.opposite(node)
    if (opposite === null) throw this.#refuse("is of several schemas at once, which no grammar can deny")
    return opposite
  }

  #isNever(node: Node): boolean {
    return isNothing(this.#shapeOf(node))
  }

  #notArray({ prefix, rest, min, max, contains, refusal }: ArrayShape): ArrayShape[] {
    if (refusal !== null) throw refusal
    const { free } = this.#nodes
    const base = anyArray(free)
    const others: ArrayShape[] = []
    if (min > 0) others.push({ ...base, max: min - 1 })
    if (max !== Infinity) others.push({ ...base, min: max + 1 })
    prefix.forEach((node, i) => {
      if (node === free) return
      const before = Array.from({ length: i }, () => free)
      others.push({ ...base, prefix: [...before, this.#opposite(node)], min: i + 1 })
    })
    if (rest !== free) {
      if (this.#isNever(rest)) others.push({ ...base, min: prefix.length + 1 })
      else if (prefix.length > 0) throw this.#refuse("denies the items after others, which no grammar can do")
      else others.push({ ...base, contains: [{ node: this.#opposite(rest), min: 1, max: Infinity }] })
    }
    for (const { node, min: least, max: most } of contains) {
      if (least > 0) others.push({ ...base, contains: [{ node, min: 0, max: least - 1 }] })
      if (most !== Infinity) others.push({ ...base, contains: [{ node, min: most + 1, max: Infinity }] })
    }
    return others
  }

  #notObject({ rules, required, min, max }: ObjectShape): ObjectShape[] {
    const never = this.#nodes.at({ schema: false, path: this.#path, resource: { uri: "", root: false, path: "" } })
    const others: ObjectShape[] = required.map((name) => ({ ...ANY_OBJECT, rules: [nameRule(name, never)] }))
    if (min > 0) others.push({ ...ANY_OBJECT, max: min - 1 })
    if (max !== Infinity) others.push({ ...ANY_OBJECT, min: max + 1 })
    for (const { name, node } of rules) {
      if (node === this.#nodes.free) continue
      if (name === null) throw this.#refuse("denies properties that have no name of their own, which no grammar can do")
      const rule = this.#isNever(node) ? [] : [nameRule(name, this.#opposite(node))]
      others.push({ ...ANY_OBJECT, rules: rule, required: [name] })
    }
    return others
  }
}
