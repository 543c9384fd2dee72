/** Sets of code points: sorted ranges without overlap. */
import { FIRST_SURROGATE, LAST_SURROGATE, MAX_CODE_POINT } from "./automaton.ts"
import type { Range } from "./dfa.ts"

export type CharSet = readonly Range[]

export const ALL_CHARS: CharSet = [{ first: 0, last: MAX_CODE_POINT }]

export function union(...sets: readonly CharSet[]): CharSet {
  const sorted = sets.flat().sort((a, b) => a.first - b.first)
  const joined: Range[] = []
  for (const range of sorted) {
    const before = joined.at(-1)
    if (before === undefined || range.first > before.last + 1) joined.push(range)
    else joined[joined.length - 1] = { first: before.first, last: Math.max(before.last, range.last) }
  }
  return joined
}

export function complement(set: CharSet): CharSet {
  const gaps: Range[] = []
  let first = 0
  for (const range of set) {
    if (range.first > first) gaps.push({ first, last: range.first - 1 })
    first = range.last + 1
  }
  if (first <= MAX_CODE_POINT) gaps.push({ first, last: MAX_CODE_POINT })
  return gaps
}

export function intersect(a: CharSet, b: CharSet): CharSet {
  return complement(union(complement(a), complement(b)))
}

export function chars(text: string): CharSet {
  return union([...text].map((char) => ({ first: char.codePointAt(0)!, last: char.codePointAt(0)! })))
}

/** Whether every code point of `part` that a string can hold is in `set`. */
export function includes(set: CharSet, part: CharSet): boolean {
  const missing = intersect(part, complement(set))
  return missing.every(({ first, last }) => first >= FIRST_SURROGATE && last <= LAST_SURROGATE)
}

export const DIGITS: CharSet = [{ first: 48, last: 57 }]
export const WORD: CharSet = union(DIGITS, [{ first: 65, last: 90 }, { first: 97, last: 122 }], chars("_"))
export const LINE_ENDS: CharSet = chars("\n\r\u2028\u2029")
export const SPACE: CharSet = union(
  chars("\t\v\f \u00a0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff\n\r"), [{ first: 0x2000, last: 0x200a }],
)

const propertySets = new Map<string, CharSet>()

/** The set that a regular expression's class such as \p{Lu} stands for, as the engine knows it. */
export function propertySet(escape: string): CharSet {
  const known = propertySets.get(escape)
  if (known !== undefined) return known
  const pattern = new RegExp(escape, "u")
  const ranges: { first: number; last: number }[] = []
  for (let code = 0; code <= MAX_CODE_POINT; code++) {
    if (!pattern.test(String.fromCodePoint(code))) continue
    const before = ranges.at(-1)
    if (before !== undefined && before.last === code - 1) before.last = code
    else ranges.push({ first: code, last: code })
  }
  propertySets.set(escape, ranges)
  return ranges
}
