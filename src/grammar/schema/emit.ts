/** From shapes to a grammar: a rule for each conjunction of schemas that a value is held to. */
import { and, ANY_TEXT, not, type Automaton } from "../automata/automaton.ts"
import { ALL_CHARS, chars, union } from "../automata/char-set.ts"
import { digitsUpTo, plainWholeNumbers, shortestSpellings, wholeNumbers } from "../automata/decimals.ts"
import { explore, TooManyStates, type Dfa } from "../automata/dfa.ts"
import { emitArray } from "./emit-array.ts"
import { emitObject } from "./emit-object.ts"
import { bare, defineEscapes, emitDfa, emitLengths, inString, STRING_REST, UNICODE_ESCAPE } from "./emit-text.ts"
import type { EmitContext } from "./emit-context.ts"
import type { Expander } from "./expand.ts"
import { Grammar, manyOf, oneOf, rule, text, type Alternative, type Item } from "./grammar-text.ts"
import type { Node } from "./node.ts"
import { isObject } from "./references.ts"
import { SchemaError } from "./schema-error.ts"
import type { Shape } from "./shape.ts"

const MAX_RULES = 30_000
const MAX_DFA_STATES = 3000
const TEXT_KEYWORDS = ["pattern", "format", "maxLength", "minLength", "multipleOf", "not", "enum", "propertyNames"]
/** Decimal digits that a double keeps. */
const DOUBLE_DIGITS = 14
const STRING = "string"
const NUMBER = "number"
const VALUE = "value"
/**
 * Characters of a string that are counted one by one. Longer ones are counted by xgrammar, which does not know that an
 * escape is one character: they hold none.
 */
const MAX_CHAIN = 512

/** Between the parts of arrays and objects: any number of blanks, at most one space, or none at all. */
export type Blanks = "any" | "one" | "none"

export interface EmitOptions {
  readonly blanks: Blanks
  /**
   * Objects with named properties have no others, unless their schema says so: what it leaves open a model would fill
   * with whatever comes to mind. Texts of such a grammar are valid, not all valid ones are texts of it.
   */
  readonly closesObjects: boolean
}

const BLANKS: Readonly<Record<Blanks, Alternative>> = {
  any: [manyOf(chars(" \n\t"))],
  one: [{ kind: "repeat", items: [text(" ")], min: 0, max: 1 }],
  none: [],
}

export class Emitter implements EmitContext {
  readonly grammar = new Grammar(MAX_RULES)
  readonly expander: Expander
  /** Blanks, if there may be any. */
  readonly blanks: Alternative
  readonly closesObjects: boolean
  readonly #names = new Map<Node, string>()
  readonly #queue: Node[] = []
  #count = 0
  #path = ""

  constructor(expander: Expander, { blanks, closesObjects }: EmitOptions) {
    this.expander = expander
    this.closesObjects = closesObjects
    this.blanks = BLANKS[blanks]
    this.#defineValues()
  }

  /** The grammar of `node` in EBNF, its first rule "root". Errors: `SchemaError`. */
  print(node: Node): string {
    this.grammar.define("root", [[this.value(node)]])
    for (const next of this.#queue) {
      this.#path = next.atoms[0]?.site.path ?? ""
      this.grammar.define(this.#names.get(next)!, this.#alternatives(next))
      if (this.grammar.isFull) throw new SchemaError(null, "", `comes to more than ${MAX_RULES} rules of a grammar`)
    }
    const printed = this.grammar.print("root")
    if (printed === null) throw new SchemaError(null, "", "admits no value at all")
    return printed
  }

  /** The rule of a value, written when its turn comes: schemas may lead back to themselves. */
  value(node: Node): Item {
    if (node === this.expander.nodes.free) return rule(VALUE)
    let name = this.#names.get(node)
    if (name === undefined) {
      name = this.freshName("v")
      this.#names.set(node, name)
      this.grammar.reserve(name)
      this.#queue.push(node)
    }
    return rule(name)
  }

  freshName(prefix: string): string {
    return `${prefix}${this.#count++}`
  }

  /** Parts in a row, with what is between them. */
  separator(sign: string): Alternative {
    return [...this.blanks, text(sign), ...this.blanks]
  }

  /** The path of the schema that a rule is being written for. */
  get path(): string {
    return this.#path
  }

  refuse(keyword: string, reason: string): SchemaError {
    return new SchemaError(keyword, this.#path, reason)
  }

  explore(automaton: Automaton): Dfa | null {
    try {
      return explore(automaton, MAX_DFA_STATES)
    } catch (error) {
      if (error instanceof TooManyStates) throw this.refuse(this.#textKeyword(), `needs ${error.message} in a grammar`)
      throw error
    }
  }

  /** Of the keywords that make texts hard, the first that the schema has. */
  #textKeyword(): string {
    const node = [...this.#names.keys()].find(({ atoms }) => atoms[0]?.site.path === this.#path)
    const schemas = node?.atoms.map(({ site }) => site.schema).filter(isObject) ?? []
    return TEXT_KEYWORDS.find((keyword) => schemas.some((schema) => keyword in schema)) ?? "pattern"
  }

  #alternatives(node: Node): Alternative[] {
    const shape: Shape = this.expander.shapeOf(node)
    const alternatives: Alternative[] = []
    if (shape.hasNull) alternatives.push([text("null")])
    for (const value of shape.booleans) alternatives.push([text(String(value))])
    if (shape.numbers === "all") alternatives.push([rule(NUMBER)])
    else if (shape.numbers !== null) alternatives.push(...this.#numbers(shape.numbers))
    if (shape.strings !== null) alternatives.push(...this.string(shape.strings === "all" ? ANY_TEXT : shape.strings))
    for (const array of shape.arrays) alternatives.push(...emitArray(this, array))
    for (const object of shape.objects) alternatives.push(...emitObject(this, object))
    return alternatives
  }

  #numbers(automaton: Automaton): Alternative[] {
    const dfa = this.#spelling(automaton)
    return dfa === null ? [] : [[emitDfa(this.grammar, this.freshName("n"), dfa, bare, [])]]
  }

  /** Whole numbers without a point; numbers of a list in one way alone; all others with as many digits as one likes. */
  #spelling(automaton: Automaton): Dfa | null {
    const hasFractions = this.explore(and(automaton, not(wholeNumbers()))) !== null
    if (!hasFractions) return this.explore(and(automaton, plainWholeNumbers()))
    const shortest = this.explore(and(automaton, shortestSpellings()))
    if (shortest === null || isFinite(shortest)) return shortest
    const isPrecise = automaton.tellsWholeNumbers === true
    return this.explore(isPrecise ? and(automaton, digitsUpTo(DOUBLE_DIGITS / 2)) : automaton)
  }

  /** A JSON string of the language. */
  string(automaton: Automaton): Alternative[] {
    if (automaton === ANY_TEXT) return [[rule(STRING)]]
    const quote = text("\"")
    if (automaton.lengths !== undefined) return this.#lengths(automaton.lengths)
    const dfa = this.explore(automaton)
    if (dfa === null) return []
    return [[quote, emitDfa(this.grammar, this.freshName("s"), dfa, inString, [quote], STRING_REST)]]
  }

  #lengths({ min, max }: { min: number; max: number }): Alternative[] {
    const quote = text("\"")
    if (min > max) return []
    const counted = max === Infinity ? min : max
    if (counted <= MAX_CHAIN) {
      return [[quote, emitLengths(this.grammar, this.freshName("s"), { min, max }, [quote], STRING_REST)]]
    }
    const character = inString(ALL_CHARS)[0]!
    return [[quote, { kind: "repeat", items: character, min, max }, quote]]
  }

  #defineValues(): void {
    const { grammar, blanks } = this
    defineEscapes(grammar)
    const digits = chars("0123456789")
    const hexDigits = union(chars("0123456789abcdefABCDEF"))
    grammar.define("escape", [
      [oneOf(chars("\"\\/bfnrt"))],
      [text("u00"), oneOf(chars("01234567")), oneOf(hexDigits)],
      [text("u"), rule(UNICODE_ESCAPE)],
    ])
    const [plain] = inString(ALL_CHARS) as [Alternative]
    // What follows a string: xgrammar can tell by it which tokens may run over the string's end.
    const next = `${blanks.length > 0 ? "[ \\n\\t]* " : ""}[,}\\]:]`
    grammar.define(STRING_REST, [
      [text("\"")], [...plain, rule(STRING_REST)], [text("\\"), rule("escape"), rule(STRING_REST)],
    ], next)
    grammar.define(STRING, [[text("\""), rule(STRING_REST)]])
    grammar.define("number_sign", [[text("-")], []])
    grammar.define("number_fraction", [[text("."), oneOf(digits), manyOf(digits)], []])
    grammar.define("number_exponent", [
      [oneOf(chars("eE")), rule("number_exponent_sign"), oneOf(digits), manyOf(digits)], [],
    ])
    grammar.define("number_exponent_sign", [[oneOf(chars("+-"))], []])
    const tail = [rule("number_fraction"), rule("number_exponent")]
    grammar.define(NUMBER, [
      [rule("number_sign"), text("0"), ...tail],
      [rule("number_sign"), oneOf(chars("123456789")), manyOf(digits), ...tail],
    ])
    const pair = [rule(STRING), ...this.separator(":"), rule(VALUE)]
    const many = (items: Alternative): Item =>
      ({ kind: "repeat", items: [...this.separator(","), ...items], min: 0, max: Infinity })
    grammar.define("any_array", [
      [text("["), ...blanks, rule(VALUE), many([rule(VALUE)]), ...blanks, text("]")], [text("["), ...blanks, text("]")],
    ])
    grammar.define("any_object", [
      [text("{"), ...blanks, ...pair, many(pair), ...blanks, text("}")], [text("{"), ...blanks, text("}")],
    ])
    const words = ["true", "false", "null"].map((word) => [text(word)])
    grammar.define(VALUE, [...words, [rule(NUMBER)], [rule(STRING)], [rule("any_array")], [rule("any_object")]])
  }
}

function isFinite(dfa: Dfa): boolean {
  const visiting = new Set<number>()
  const done = new Set<number>()
  const visit = (state: number): boolean => {
    if (done.has(state)) return true
    if (visiting.has(state)) return false
    visiting.add(state)
    const isEnded = dfa[state]!.edges.every(({ to }) => visit(to))
    done.add(state)
    return isEnded
  }
  return visit(0)
}
