/** Rules for strings and numbers, out of their automata. */
import type { Dfa, DfaState } from "../automata/dfa.ts"
import { chars, complement, includes, intersect, union, type CharSet } from "../automata/char-set.ts"
import { FIRST_SURROGATE, LAST_SURROGATE, MAX_CODE_POINT } from "../automata/automaton.ts"
import { manyOf, oneOf, rule, text, type Alternative, type Grammar, type Item } from "./grammar-text.ts"

const CONTROLS: CharSet = [{ first: 0, last: 0x1f }]
const SURROGATES: CharSet = [{ first: FIRST_SURROGATE, last: LAST_SURROGATE }]
/** What a JSON string writes as it is. */
const PLAIN = complement(union(CONTROLS, SURROGATES, chars("\"\\")))
const BEYOND_ASCII: CharSet = [{ first: 0x80, last: MAX_CODE_POINT }]
const SHORT_ESCAPES: readonly (readonly [char: string, escape: string])[] = [
  ["\"", "\\\""], ["\\", "\\\\"], ["/", "\\/"], ["\b", "\\b"],
  ["\f", "\\f"], ["\n", "\\n"], ["\r", "\\r"], ["\t", "\\t"],
]
const ESCAPED = chars(SHORT_ESCAPES.map(([char]) => char).join(""))

/** How the characters of a language are written in the text: one alternative for each way. */
export type Writing = (set: CharSet) => Alternative[]

/** As they are: numbers. */
export const bare: Writing = (set) => [[oneOf(set)]]

/** Rules that `inString` refers to. */
export const HEX = "hex"
export const UNICODE_ESCAPE = "unicode_escape"

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

/** Whether characters of `set` may take more than one symbol in a JSON string. */
export function hasEscapes(set: CharSet): boolean {
  return intersect(set, union(CONTROLS, ESCAPED)).length > 0 || includes(set, BEYOND_ASCII)
}

/**
 * One rule a state. `end` is what comes after the last character. A state's loop to itself is a repetition, so that
 * long
 * texts do not nest.
 */
export function emitDfa(grammar: Grammar, name: string, dfa: Dfa, write: Writing, end: Alternative): Item {
  const nameOf = (state: number) => `${name}_${state}`
  dfa.forEach(({ edges, isAccepting }, state) => {
    const exits: Alternative[] = setsByTarget(edges).filter(([to]) => to !== state)
      .flatMap(([to, set]) => write(set).map((way) => [...way, rule(nameOf(to))]))
    if (isAccepting) exits.push(end)
    const loop = setsByTarget(edges).find(([to]) => to === state)
    const name = nameOf(state)
    if (loop === undefined) grammar.define(name, exits)
    else grammar.define(name, [[...loopItem(grammar, name, write(loop[1])), grammar.define(`${name}_exit`, exits)]])
  })
  return rule(nameOf(0))
}

function loopItem(grammar: Grammar, name: string, ways: readonly Alternative[]): Alternative {
  const [only] = ways
  if (ways.length === 1 && only!.length === 1 && only![0]!.kind === "chars") return [manyOf(only![0]!.set)]
  return [{ kind: "repeat", items: [grammar.define(`${name}_loop`, ways)], min: 0, max: Infinity }]
}

function setsByTarget(edges: DfaState["edges"]): [to: number, set: CharSet][] {
  const sets = new Map<number, CharSet>()
  for (const { first, last, to } of edges) sets.set(to, union(sets.get(to) ?? [], [{ first, last }]))
  return [...sets]
}
