/** Rules for strings and numbers, out of their automata. */
import { FIRST_SURROGATE, LAST_SURROGATE, MAX_CODE_POINT } from "../automata/automaton.ts"
import { ALL_CHARS, chars, complement, includes, intersect, union, type CharSet } from "../automata/char-set.ts"
import type { Dfa, DfaState } from "../automata/dfa.ts"
import { oneOf, rule, text, type Alternative, type Grammar, type Item } from "./grammar-text.ts"

const CONTROLS: CharSet = [{ first: 0, last: 0x1f }]
const SURROGATES: CharSet = [{ first: FIRST_SURROGATE, last: LAST_SURROGATE }]
/** What a JSON string writes as it is. */
const PLAIN = complement(union(CONTROLS, SURROGATES, chars("\"\\")))
const BEYOND_ASCII: CharSet = [{ first: 0x80, last: MAX_CODE_POINT }]
const SHORT_ESCAPES: readonly (readonly [char: string, escape: string])[] = [
  ["\"", "\\\""], ["\\", "\\\\"], ["/", "\\/"], ["\b", "\\b"],
  ["\f", "\\f"], ["\n", "\\n"], ["\r", "\\r"], ["\t", "\\t"],
]

/** How the characters of a language are written in the text: one alternative for each way. */
export type Writing = (set: CharSet) => Alternative[]

/** As they are: numbers. */
export const bare: Writing = (set) => [[oneOf(set)]]

/** Rules that `inString` refers to. */
export const HEX = "hex"
export const UNICODE_ESCAPE = "unicode_escape"
/** What is left of any string, its closing quote included. */
export const STRING_REST = "string_rest"

export function defineEscapes(grammar: Grammar): void {
  const hex = union(chars("0123456789abcdefABCDEF"))
  grammar.define(HEX, [[oneOf(hex)]])
  const [two, three] = [[rule(HEX), rule(HEX)], [rule(HEX), rule(HEX), rule(HEX)]]
  // Everything beyond ASCII: a character of the first plane, or a pair of surrogates.
  grammar.define(UNICODE_ESCAPE, [
    [text("00"), oneOf(chars("89abcdefABCDEF")), rule(HEX)],
    [text("0"), oneOf(chars("123456789abcdefABCDEF")), ...two],
    [oneOf(chars("123456789abcefABCEF")), ...three],
    [oneOf(chars("dD")), oneOf(chars("01234567")), ...two],
    [
      oneOf(chars("dD")), oneOf(chars("89abAB")), ...two,
      text("\\u"), oneOf(chars("dD")), oneOf(chars("cdefCDEF")), ...two,
    ],
  ])
}

/**
 * Inside of a JSON string. What has to be escaped is, in every way there is; the rest is written as it is, but for the
 * characters beyond ASCII, which may be escaped where all of them are admitted.
 */
export const inString: Writing = (set) => {
  const ways: Alternative[] = []
  const plain = intersect(set, PLAIN)
  if (plain.length > 0) ways.push([oneOf(plain)])
  for (const [char, escape] of SHORT_ESCAPES) if (includes(set, chars(char))) ways.push([text(escape)])
  const controls = intersect(set, CONTROLS)
  if (includes(controls, CONTROLS)) ways.push([text("\\u00"), oneOf(chars("01")), rule(HEX)])
  else {
    for (const { first, last } of controls) for (let code = first; code <= last; code++) ways.push(controlEscape(code))
  }
  if (includes(set, BEYOND_ASCII)) ways.push([text("\\u"), rule(UNICODE_ESCAPE)])
  return ways
}

function controlEscape(code: number): Alternative {
  const low = (code % 16).toString(16)
  return [text(`\\u00${code >> 4}`), oneOf(chars(low + low.toUpperCase()))]
}

/**
 * One rule a state, each leading on to the next: xgrammar makes the mask of a state over all that may follow within
 * such
 * a chain, while what goes on after the end of a rule has to be tried out at every mask. `end` comes after the last
 * character. A state after which anything may come is `rest`, where there is such a rule.
 */
export function emitDfa(
  grammar: Grammar, name: string, dfa: Dfa, write: Writing, end: Alternative, rest: string | null = null,
): Item {
  const nameOf = (state: number) => (rest !== null && isAnything(dfa, state) ? rest : `${name}_${state}`)
  dfa.forEach(({ edges, isAccepting }, state) => {
    if (nameOf(state) === rest) return
    const alternatives: Alternative[] = setsByTarget(edges)
      .flatMap(([to, set]) => write(set).map((way) => [...way, rule(nameOf(to))]))
    if (isAccepting) alternatives.push(end)
    grammar.define(nameOf(state), alternatives)
  })
  return rule(nameOf(0))
}

/** The text may be anything from this state on. */
export function isAnything(dfa: Dfa, state: number): boolean {
  const { edges, isAccepting } = dfa[state]!
  return isAccepting && edges.every(({ to }) => to === state) && includes(edges, ALL_CHARS)
}

/** As `emitDfa`, of `min` to `max` characters of any kind. */
export function emitLengths(
  grammar: Grammar, name: string, { min, max }: { min: number; max: number }, end: Alternative, rest: string,
): Item {
  const last = max === Infinity ? min : max
  const nameOf = (count: number) => (count === last && max === Infinity ? rest : `${name}_${count}`)
  for (let count = 0; count < last || (count === last && max !== Infinity); count++) {
    const ways = count < last ? inString(ALL_CHARS).map((way) => [...way, rule(nameOf(count + 1))]) : []
    grammar.define(nameOf(count), count >= min ? [end, ...ways] : ways)
  }
  return rule(nameOf(0))
}

function setsByTarget(edges: DfaState["edges"]): [to: number, set: CharSet][] {
  const sets = new Map<number, CharSet>()
  for (const { first, last, to } of edges) sets.set(to, union(sets.get(to) ?? [], [{ first, last }]))
  return [...sets]
}
