/**
 * What a schema admits, by the six kinds of JSON values. Kinds without parts (numbers, strings ...) are languages,
 * closed
 * under "and", "or" and "not" without loss. Arrays and objects are lists of alternatives, whose parts are nodes: other
 * conjunctions of schemas, looked into only when a grammar is written.
 */
import { and, ANY_TEXT, literals, not, or, type Automaton } from "../automata/automaton.ts"
import type { Node } from "./node.ts"
import type { SchemaError } from "./schema-error.ts"

/** "all": any value of the kind. Null: none. */
export type Language = Automaton | "all" | null

export interface Contains {
  readonly node: Node
  readonly min: number
  /** Infinity: any number. */
  readonly max: number
}

export interface ArrayShape {
  readonly prefix: readonly Node[]
  /** Items after the prefix. */
  readonly rest: Node
  readonly min: number
  readonly max: number
  readonly contains: readonly Contains[]
  /** How many items a keyword has spoken about; what speaks about all of them leaves Infinity. */
  readonly evaluated: number
  /** Why there is no grammar of such arrays: thrown where one is wanted. */
  readonly refusal: SchemaError | null
}

/** Values under keys of this kind have to be in `node`. */
export interface KeyRule {
  /** One key, or null: all that `keys` accepts. */
  readonly name: string | null
  readonly keys: Automaton
  readonly node: Node
}

export interface ObjectShape {
  readonly rules: readonly KeyRule[]
  readonly required: readonly string[]
  readonly min: number
  readonly max: number
  /** Keys that a keyword has spoken about. */
  readonly evaluated: readonly Automaton[]
}

export interface Shape {
  readonly hasNull: boolean
  readonly booleans: readonly boolean[]
  readonly numbers: Language
  readonly strings: Language
  readonly arrays: readonly ArrayShape[]
  readonly objects: readonly ObjectShape[]
}

export const NOTHING: Shape = { hasNull: false, booleans: [], numbers: null, strings: null, arrays: [], objects: [] }

export function anyArray(free: Node): ArrayShape {
  return { prefix: [], rest: free, min: 0, max: Infinity, contains: [], evaluated: 0, refusal: null }
}

export const ANY_OBJECT: ObjectShape = { rules: [], required: [], min: 0, max: Infinity, evaluated: [] }

export function anything(free: Node): Shape {
  return {
    hasNull: true, booleans: [false, true], numbers: "all", strings: "all",
    arrays: [anyArray(free)], objects: [ANY_OBJECT],
  }
}

export function isNothing(shape: Shape): boolean {
  return !shape.hasNull && shape.booleans.length === 0 && shape.numbers === null && shape.strings === null &&
    shape.arrays.length === 0 && shape.objects.length === 0
}

export function andLanguage(a: Language, b: Language): Language {
  if (a === null || b === null) return null
  if (a === "all") return b
  return b === "all" ? a : and(a, b)
}

export function orLanguage(a: Language, b: Language): Language {
  if (a === null) return b
  if (b === null) return a
  return a === "all" || b === "all" ? "all" : or(a, b)
}

/** `universe` is what the automata of this kind are languages of. */
export function notLanguage(a: Language, universe: Automaton): Language {
  if (a === null) return "all"
  return a === "all" ? null : and(universe, not(a))
}

/** How parts of alternatives are put together; see `Nodes`. */
export interface NodeAlgebra {
  readonly free: Node
  both(a: Node, b: Node): Node
}

function bothArrays(a: ArrayShape, b: ArrayShape, nodes: NodeAlgebra): ArrayShape {
  const itemOf = (shape: ArrayShape, i: number) => shape.prefix[i] ?? shape.rest
  const length = Math.max(a.prefix.length, b.prefix.length)
  return {
    prefix: Array.from({ length }, (_, i) => nodes.both(itemOf(a, i), itemOf(b, i))),
    rest: nodes.both(a.rest, b.rest),
    min: Math.max(a.min, b.min),
    max: Math.min(a.max, b.max),
    contains: [...a.contains, ...b.contains],
    evaluated: Math.max(a.evaluated, b.evaluated),
    refusal: a.refusal ?? b.refusal,
  }
}

function bothObjects(a: ObjectShape, b: ObjectShape): ObjectShape {
  return {
    rules: [...a.rules, ...b.rules],
    required: [...new Set([...a.required, ...b.required])],
    min: Math.max(a.min, b.min),
    max: Math.min(a.max, b.max),
    evaluated: [...a.evaluated, ...b.evaluated],
  }
}

/** Alternatives that say nothing are the neutral ones: most schemas speak of one kind alone. */
function pairs<T>(as: readonly T[], bs: readonly T[], both: (a: T, b: T) => T): T[] {
  return as.flatMap((a) => bs.map((b) => both(a, b)))
}

export function bothShapes(a: Shape, b: Shape, nodes: NodeAlgebra): Shape {
  return {
    hasNull: a.hasNull && b.hasNull,
    booleans: a.booleans.filter((value) => b.booleans.includes(value)),
    numbers: andLanguage(a.numbers, b.numbers),
    strings: andLanguage(a.strings, b.strings),
    arrays: pairs(a.arrays, b.arrays, (one, other) => bothArrays(one, other, nodes)),
    objects: pairs(a.objects, b.objects, bothObjects),
  }
}

export function eitherShape(a: Shape, b: Shape): Shape {
  return {
    hasNull: a.hasNull || b.hasNull,
    booleans: [...new Set([...a.booleans, ...b.booleans])],
    numbers: orLanguage(a.numbers, b.numbers),
    strings: orLanguage(a.strings, b.strings),
    arrays: [...a.arrays, ...b.arrays],
    objects: [...a.objects, ...b.objects],
  }
}

/** One key. */
export function nameRule(name: string, node: Node): KeyRule {
  return { name, keys: literals([name]), node }
}

/** All keys but these. */
export function keysExcept(names: readonly string[]): Automaton {
  return names.length === 0 ? ANY_TEXT : not(literals(names))
}
