/** A grammar under construction: rules of alternatives, and their text in xgrammar's EBNF. */
import type { CharSet } from "../automata/char-set.ts"

export type Item =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "chars"; readonly set: CharSet; readonly isStar?: boolean }
  | { readonly kind: "rule"; readonly name: string }
  | { readonly kind: "repeat"; readonly items: readonly Item[]; readonly min: number; readonly max: number }

export type Alternative = readonly Item[]

export const text = (value: string): Item => ({ kind: "text", text: value })
export const rule = (name: string): Item => ({ kind: "rule", name })
export const oneOf = (set: CharSet): Item => ({ kind: "chars", set })
export const manyOf = (set: CharSet): Item => ({ kind: "chars", set, isStar: true })

export class Grammar {
  readonly #rules = new Map<string, readonly Alternative[]>()
  /** What has to follow a rule, so that its masks can be made without what is around it. */
  readonly #lookahead = new Map<string, string>()
  readonly #maxRules: number

  constructor(maxRules: number) {
    this.#maxRules = maxRules
  }

  get isFull(): boolean {
    return this.#rules.size > this.#maxRules
  }

  has(name: string): boolean {
    return this.#rules.has(name)
  }

  /** A rule that is referred to before it is known. */
  reserve(name: string): void {
    this.#rules.set(name, [])
  }

  define(name: string, alternatives: readonly Alternative[], lookahead: string | null = null): Item {
    this.#rules.set(name, alternatives)
    if (lookahead !== null) this.#lookahead.set(name, lookahead)
    return rule(name)
  }

  /** The rules that `start` needs, or null if no text is of it. What no text is of is left out. */
  print(start: string): string | null {
    const productive = this.#productiveRules()
    if (!productive.has(start)) return null
    const lines: string[] = []
    const order = new Set([start])
    for (const name of order) {
      const alternatives = this.#rules.get(name)!.flatMap((each) => {
        const kept = each.map((item) => prune(item, productive))
        return kept.every((item) => item !== null) ? [kept] : []
      })
      for (const item of alternatives.flat()) namesIn(item, order)
      const body = [...new Set(alternatives.map(printAlternative))].join(" | ")
      const lookahead = this.#lookahead.get(name)
      lines.push(`${name} ::= ${body}${lookahead === undefined ? "" : ` (=${lookahead})`}`)
    }
    return lines.join("\n")
  }

  /** Rules that some text is of. */
  #productiveRules(): ReadonlySet<string> {
    const productive = new Set<string>()
    for (let grows = true; grows; ) {
      grows = false
      for (const [name, alternatives] of this.#rules) {
        if (productive.has(name)) continue
        const isProductive = alternatives.some((each) => each.every((item) => prune(item, productive) !== null))
        if (!isProductive) continue
        productive.add(name)
        grows = true
      }
    }
    return productive
  }
}

/** `item` without what no text is of; null if nothing is left. */
function prune(item: Item, productive: ReadonlySet<string>): Item | null {
  if (item.kind === "rule") return productive.has(item.name) ? item : null
  if (item.kind === "chars") return item.set.length > 0 || item.isStar === true ? item : null
  if (item.kind === "text") return item
  if (item.items.every((each) => prune(each, productive) !== null)) return item
  return item.min === 0 ? text("") : null
}

function namesIn(item: Item | null, into: Set<string>): void {
  if (item?.kind === "rule") into.add(item.name)
  else if (item?.kind === "repeat") for (const each of item.items) namesIn(each, into)
}

function printAlternative(items: readonly (Item | null)[]): string {
  const kept = items.filter((item) => item !== null).filter((item) => item.kind !== "text" || item.text !== "")
  const printed = kept.map(printItem)
  return printed.length === 0 ? '""' : printed.join(" ")
}

function printItem(item: Item): string {
  switch (item.kind) {
    case "text": return quote(item.text)
    case "rule": return item.name
    case "chars": return printSet(item.set) + (item.isStar === true ? "*" : "")
    case "repeat": {
      const inner = item.items.map(printItem).join(" ")
      const { min, max } = item
      return `(${inner})${min === 0 && max === Infinity ? "*" : `{${min},${max === Infinity ? "" : max}}`}`
    }
  }
}

/** A literal: everything but plain ASCII is escaped. */
export function quote(value: string): string {
  let quoted = ""
  for (const char of value) quoted += /[ !#-[\]-~]/.test(char) ? char : escapeCode(char.codePointAt(0)!)
  return `"${quoted}"`
}

function printSet(set: CharSet): string {
  const code = (point: number) => {
    const char = String.fromCodePoint(point)
    return /[0-9A-Za-z]/.test(char) ? char : escapeCode(point)
  }
  return `[${set.map(({ first, last }) => (first === last ? code(first) : `${code(first)}-${code(last)}`)).join("")}]`
}

function escapeCode(point: number): string {
  const hex = point.toString(16)
  // "\\x" would take any number of digits.
  return point <= 0xffff ? `\\u${hex.padStart(4, "0")}` : `\\U${hex.padStart(8, "0")}`
}
