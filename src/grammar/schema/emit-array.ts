/** Rules for arrays. */
import type { EmitContext } from "./emit-context.ts"
import { rule, text, type Alternative, type Item } from "./grammar-text.ts"
import type { Node } from "./node.ts"
import { isNothing, type ArrayShape } from "./shape.ts"

const MAX_STATES = 2000

export function emitArray(emitter: EmitContext, shape: ArrayShape): Alternative[] {
  const { blanks, expander } = emitter
  if (shape.refusal !== null) throw shape.refusal
  const isClosed = isNothing(expander.shapeOf(shape.rest))
  const max = isClosed ? Math.min(shape.max, shape.prefix.length) : shape.max
  if (shape.min > max) return []
  const clipped = { ...shape, max, prefix: shape.prefix.slice(0, Math.min(shape.prefix.length, max)) }
  const contents = shape.contains.length > 0 ? new Counting(emitter, clipped).print() : inOrder(emitter, clipped)
  return contents.map((items) => (items.length === 0
    ? [text("["), ...blanks, text("]")]
    : [text("["), ...blanks, ...items, ...blanks, text("]")]))
}

/** What may stand between the brackets; an empty one is the empty array. */
function inOrder(emitter: EmitContext, { prefix, rest, min, max }: ArrayShape): Alternative[] {
  const { grammar } = emitter
  const separator = emitter.separator(",")
  const itemAt = (i: number): Item => emitter.value(prefix[i] ?? rest)
  const name = emitter.freshName("a")
  const after = (count: number): Item => {
    if (count >= prefix.length) {
      const items = [...separator, itemAt(count)]
      return { kind: "repeat", items, min: Math.max(0, min - count), max: max - count }
    }
    return rule(`${name}_${count}`)
  }
  for (let count = 1; count < prefix.length; count++) {
    const alternatives: Alternative[] = count >= min ? [[]] : []
    if (count < max) alternatives.push([...separator, itemAt(count), after(count + 1)])
    grammar.define(`${name}_${count}`, alternatives)
  }
  const contents: Alternative[] = min === 0 ? [[]] : []
  if (max > 0) contents.push([itemAt(0), after(1)])
  return contents
}

/** How far an array has come: its items, and how many of them each "contains" has found. */
interface State {
  readonly length: number
  readonly found: readonly number[]
}

class Counting {
  readonly #emitter: EmitContext
  readonly #shape: ArrayShape
  readonly #name: string
  readonly #names = new Map<string, string>()
  readonly #queue: State[] = []

  constructor(emitter: EmitContext, shape: ArrayShape) {
    this.#emitter = emitter
    this.#shape = shape
    this.#name = emitter.freshName("c")
  }

  print(): Alternative[] {
    const first: State = { length: 0, found: this.#shape.contains.map(() => 0) }
    const contents = this.#continuations(first, [])
    for (const state of this.#queue) {
      const alternatives = this.#continuations(state, this.#emitter.separator(","))
      this.#emitter.grammar.define(this.#names.get(keyOf(state))!, alternatives)
      if (this.#queue.length > MAX_STATES) {
        throw this.#emitter.refuse(
          "contains", `and the limits beside it come to more than ${MAX_STATES} states of a grammar`,
        )
      }
    }
    return contents
  }

  #continuations(state: State, separator: Alternative): Alternative[] {
    const { contains, min, max, prefix } = this.#shape
    const isWhole = state.length >= min && contains.every((each, i) => state.found[i]! >= each.min)
    const alternatives: Alternative[] = isWhole ? [[]] : []
    if (state.length >= max) return alternatives
    for (let found = 0; found < 2 ** contains.length; found++) {
      const next = this.#nextState(state, found)
      if (next === null) continue
      const base = prefix[state.length] ?? this.#shape.rest
      alternatives.push([...separator, this.#emitter.value(this.#itemNode(base, found)), this.#rule(next)])
    }
    return alternatives
  }

  /** Counts that no longer matter are merged. */
  #nextState(state: State, found: number): State | null {
    const { contains, min, max, prefix } = this.#shape
    const counts = contains.map((each, i) => {
      const count = state.found[i]! + ((found >> i) & 1)
      return each.max === Infinity ? Math.min(count, each.min) : count
    })
    if (counts.some((count, i) => count > contains[i]!.max)) return null
    const cap = Math.max(max === Infinity ? min : max, prefix.length)
    return { length: Math.min(state.length + 1, cap), found: counts }
  }

  /** An item that is what the `found` ones look for, and not what others may not find too often. */
  #itemNode(base: Node, found: number): Node {
    const { nodes } = this.#emitter.expander
    return this.#shape.contains.reduce((node, each, i) => {
      if ((found >> i) & 1) return nodes.both(node, each.node)
      if (each.max === Infinity) return node
      const opposite = nodes.opposite(each.node)
      if (opposite === null) {
        throw this.#emitter.refuse("maxContains", "is of several schemas at once: no grammar can count that")
      }
      return nodes.both(node, opposite)
    }, base)
  }

  #rule(state: State): Item {
    const key = keyOf(state)
    let name = this.#names.get(key)
    if (name === undefined) {
      name = `${this.#name}_${this.#names.size}`
      this.#names.set(key, name)
      this.#emitter.grammar.reserve(name)
      this.#queue.push(state)
    }
    return rule(name)
  }
}

function keyOf({ length, found }: State): string {
  return `${length}:${found.join()}`
}
