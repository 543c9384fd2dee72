/**
 * Rules for objects. Where there may be no other properties, those with names come in the order of the schema, which is
 * what models are told and what OpenAI's API promises. Others may stand anywhere, and then so may the named ones, while
 * they are few.
 */
import { and, ANY_TEXT, holds, literals, not, or, type Automaton } from "../automata/automaton.ts"
import type { EmitContext } from "./emit-context.ts"
import { emitDfa, inString, STRING_REST } from "./emit-text.ts"
import { rule, text, type Alternative, type Item } from "./grammar-text.ts"
import type { Node } from "./node.ts"
import { isNothing, type KeyRule, type ObjectShape } from "./shape.ts"

const MAX_STATES = 4000
/** Kinds of keys that are distinguished: each combination of rules that a key may fall under is one. */
const MAX_KEY_RULES = 6
/** Named properties beyond which they keep their order: a rule for each set of them is too many. */
const MAX_IN_ANY_ORDER = 5

interface Named {
  readonly pair: Alternative
  readonly isRequired: boolean
}

export function emitObject(emitter: EmitContext, shape: ObjectShape): Alternative[] {
  const { blanks } = emitter
  const names = [...new Set([...shape.rules.flatMap(({ name }) => name ?? []), ...shape.required])]
  const named: Named[] = []
  for (const name of names) {
    const node = valueNode(emitter, shape.rules, name)
    const isRequired = shape.required.includes(name)
    if (!isNothing(emitter.expander.shapeOf(node))) named.push({ pair: namedPair(emitter, name, node), isRequired })
    else if (isRequired) return []
  }
  const extras = isOpen(emitter, shape, names.length) ? extraPairs(emitter, shape.rules, names) : []
  return new Members(emitter, shape, named, extras).print().map((items) => (items.length === 0
    ? [text("{"), ...blanks, text("}")]
    : [text("{"), ...blanks, ...items, ...blanks, text("}")]))
}

/** Whether there may be properties that have no name in the schema. */
function isOpen({ closesObjects }: EmitContext, { rules, evaluated, min }: ObjectShape, numNames: number): boolean {
  const isTold = rules.some(({ name }) => name === null) || evaluated.includes(ANY_TEXT)
  return !closesObjects || isTold || numNames === 0 || min > numNames
}

function valueNode(emitter: EmitContext, rules: readonly KeyRule[], name: string): Node {
  const { nodes } = emitter.expander
  return rules.filter(({ keys }) => holds(keys, name)).reduce((node, each) => nodes.both(node, each.node), nodes.free)
}

function namedPair(emitter: EmitContext, name: string, node: Node): Alternative {
  return [text(JSON.stringify(name)), ...emitter.separator(":"), emitter.value(node)]
}

/** Pairs whose key is none of `names`: one for each conjunction of schemas that keys may fall under. */
function extraPairs(emitter: EmitContext, rules: readonly KeyRule[], names: readonly string[]): Alternative[] {
  const { nodes } = emitter.expander
  const general = mergeEqual(rules.filter(({ name }) => name === null))
  if (general.length > MAX_KEY_RULES) {
    throw emitter.refuse(
      "patternProperties", `and what it is combined with come to more than ${MAX_KEY_RULES} kinds of keys`,
    )
  }
  const free = names.length === 0 ? [] : [not(literals(names))]
  const keysByNode = new Map<Node, Automaton[]>()
  for (let subset = 0; subset < 2 ** general.length; subset++) {
    const isIn = (_: KeyRule, i: number) => ((subset >> i) & 1) === 1
    const node = general.filter(isIn).reduce((all, each) => nodes.both(all, each.node), nodes.free)
    if (isNothing(emitter.expander.shapeOf(node))) continue
    const keys = and(...free, ...general.map((each, i) => (isIn(each, i) ? each.keys : not(each.keys))))
    keysByNode.set(node, [...(keysByNode.get(node) ?? []), keys])
  }
  return [...keysByNode].flatMap(([node, keys]) => {
    const all = keys.length === 1 ? keys[0]! : or(...keys)
    return keyRule(emitter, all).map((key) => [...key, ...emitter.separator(":"), emitter.value(node)])
  })
}

/** Rules with the same schema are one: their keys are either's. */
function mergeEqual(rules: readonly KeyRule[]): KeyRule[] {
  const byNode = new Map<Node, KeyRule>()
  for (const each of rules) {
    const known = byNode.get(each.node)
    byNode.set(each.node, known === undefined ? each : { ...each, keys: or(known.keys, each.keys) })
  }
  return [...byNode.values()]
}

function keyRule(emitter: EmitContext, keys: Automaton): Alternative[] {
  const dfa = emitter.explore(keys)
  if (dfa === null) return []
  return [[text("\""), emitDfa(emitter.grammar, emitter.freshName("k"), dfa, inString, [text("\"")], STRING_REST)]]
}

/** How far an object has come: its named properties, and the number of all so far where there is a limit. */
interface State {
  /** In order: the next of the named ones. In any order: the set of those that have been, as bits. */
  readonly next: number
  readonly count: number
  /** Of those that are not required. */
  readonly optional: number
}

class Members {
  readonly #emitter: EmitContext
  readonly #named: readonly Named[]
  readonly #extra: Item | null
  readonly #max: number
  /** How many properties that are not required there have to be. */
  readonly #minOptional: number
  readonly #isInOrder: boolean
  readonly #name: string
  readonly #states = new Map<string, string>()
  readonly #queue: { state: State; isNamedNext: boolean }[] = []

  constructor(
    emitter: EmitContext, { min, max }: ObjectShape, named: readonly Named[], extras: readonly Alternative[],
  ) {
    this.#emitter = emitter
    this.#named = named
    this.#name = emitter.freshName("o")
    this.#extra = extras.length === 0 ? null : emitter.grammar.define(`${this.#name}_extra`, extras)
    const required = named.filter(({ isRequired }) => isRequired).length
    this.#minOptional = Math.max(0, min - required)
    this.#isInOrder = extras.length === 0 || named.length > MAX_IN_ANY_ORDER
    const isUnlimited = extras.length === 0 && max >= named.length
    this.#max = isUnlimited ? Infinity : max
    if (this.#extra !== null && this.#minOptional > 1) {
      throw emitter.refuse(
        "minProperties", `is ${min}: no grammar can tell that more than one property of any name are different ones`,
      )
    }
  }

  print(): Alternative[] {
    const start: State = { next: 0, count: 0, optional: 0 }
    const members: Alternative[] = this.#mayEnd(start) ? [[]] : []
    members.push(...this.#first(start))
    for (const { state, isNamedNext } of this.#queue) {
      const separator = this.#emitter.separator(",")
      const alternatives = isNamedNext ? this.#nextNamed(state, separator) : this.#rest(state, separator)
      this.#emitter.grammar.define(this.#states.get(keyOf(state, isNamedNext))!, alternatives)
      if (this.#queue.length > MAX_STATES) {
        throw this.#emitter.refuse("maxProperties", `comes to more than ${MAX_STATES} states of a grammar`)
      }
    }
    return members
  }

  #mayEnd(state: State): boolean {
    const isOpen = this.#named.some(({ isRequired }, i) => isRequired && !this.#hasPassed(state, i))
    return !isOpen && state.optional >= this.#minOptional
  }

  /** Whether a named property can no longer come. */
  #hasPassed({ next }: State, i: number): boolean {
    return this.#isInOrder ? i < next : ((next >> i) & 1) === 1
  }

  /** After a property. */
  #rest(state: State, separator: Alternative): Alternative[] {
    const alternatives: Alternative[] = this.#mayEnd(state) ? [[]] : []
    const more = this.#extraNext(state, separator)
    if (more !== null) alternatives.push(more)
    if (!this.#isInOrder) return [...alternatives, ...this.#anyNamed(state, separator)]
    if (state.next < this.#named.length) alternatives.push([this.#rule(state, true)])
    return alternatives
  }

  /** The first property has nothing before it, so that there is a rule of its own for no other. */
  #first(state: State): Alternative[] {
    const alternatives: Alternative[] = []
    const more = this.#extraNext(state, [])
    if (more !== null) alternatives.push(more)
    if (!this.#isInOrder) return [...alternatives, ...this.#anyNamed(state, [])]
    for (let next = state.next; next < this.#named.length; next++) {
      const pair = this.#namedPair({ ...state, next }, [])
      if (pair !== null) alternatives.push(pair)
      if (this.#named[next]!.isRequired) break
    }
    return alternatives
  }

  #anyNamed(state: State, separator: Alternative): Alternative[] {
    return this.#named.flatMap(({ pair, isRequired }, i) => {
      if (this.#hasPassed(state, i)) return []
      const after = this.#counted({ ...state, next: state.next | (1 << i) }, !isRequired)
      return after === null ? [] : [[...separator, ...pair, this.#rule(after, false)]]
    })
  }

  #nextNamed(state: State, separator: Alternative): Alternative[] {
    const pair = this.#namedPair(state, separator)
    const alternatives = pair === null ? [] : [pair]
    const mayBeLeftOut = !this.#named[state.next]!.isRequired && state.next + 1 < this.#named.length
    if (mayBeLeftOut) alternatives.push([this.#rule({ ...state, next: state.next + 1 }, true)])
    return alternatives
  }

  #namedPair(state: State, separator: Alternative): Alternative | null {
    const { pair, isRequired } = this.#named[state.next]!
    const after = this.#counted({ ...state, next: state.next + 1 }, !isRequired)
    return after === null ? null : [...separator, ...pair, this.#rule(after, false)]
  }

  #extraNext(state: State, separator: Alternative): Alternative | null {
    const after = this.#extra === null ? null : this.#counted(state, true)
    return after === null ? null : [...separator, this.#extra!, this.#rule(after, false)]
  }

  #counted({ next, count, optional }: State, isOptional: boolean): State | null {
    if (count + 1 > this.#max) return null
    return {
      next,
      count: this.#max === Infinity ? 0 : count + 1,
      optional: Math.min(optional + (isOptional ? 1 : 0), this.#minOptional),
    }
  }

  #rule(state: State, isNamedNext: boolean): Item {
    const key = keyOf(state, isNamedNext)
    let name = this.#states.get(key)
    if (name === undefined) {
      name = `${this.#name}_${this.#states.size}`
      this.#states.set(key, name)
      this.#emitter.grammar.reserve(name)
      this.#queue.push({ state, isNamedNext })
    }
    return rule(name)
  }
}

function keyOf({ next, count, optional }: State, isNamedNext: boolean): string {
  return `${next}:${count}:${optional}:${isNamedNext}`
}
