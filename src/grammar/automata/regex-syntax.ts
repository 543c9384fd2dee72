/**
 * Regular expressions as JSON Schema has them: ECMA-262 with the flag "u". What no automaton can do is refused: looking
 * ahead and behind, back references, word boundaries.
 */
import {
  ALL_CHARS, chars, complement, DIGITS, LINE_ENDS, propertySet, SPACE, union, WORD, type CharSet,
} from "./char-set.ts"

export type Regex =
  | { readonly kind: "chars"; readonly set: CharSet }
  | { readonly kind: "sequence"; readonly parts: readonly Regex[] }
  | { readonly kind: "choice"; readonly options: readonly Regex[] }
  | { readonly kind: "repeat"; readonly part: Regex; readonly min: number; readonly max: number }
  | { readonly kind: "start" }
  | { readonly kind: "end" }

/** The message for the author of the expression. */
export class RegexError extends Error {
  override readonly name = "RegexError"
}

const MAX_NESTING = 100
const CONTROL_ESCAPES: Readonly<Record<string, string>> = { t: "\t", n: "\n", v: "\v", f: "\f", r: "\r", "0": "\0" }
const CLASS_ESCAPES: Readonly<Record<string, CharSet>> = {
  d: DIGITS, D: complement(DIGITS), w: WORD, W: complement(WORD), s: SPACE, S: complement(SPACE),
}

/** Errors: `RegexError`. */
export function parseRegex(source: string): Regex {
  try {
    new RegExp(source, "u")
  } catch (error) {
    const reason = (error as Error).message.replace(/^Invalid regular expression: /, "")
    // Escapes that the flag "u" forbids are common, and harmless: \- and \_ are - and _.
    if (!isValidWithoutFlag(source)) throw new RegexError(`not a regular expression: ${reason}`)
  }
  return new RegexParser(source).parse()
}

function isValidWithoutFlag(source: string): boolean {
  try {
    new RegExp(source)
    return true
  } catch {
    return false
  }
}

class RegexParser {
  readonly #chars: readonly string[]
  #at = 0
  #depth = 0

  constructor(source: string) {
    this.#chars = [...source]
  }

  parse(): Regex {
    const regex = this.#choice()
    if (this.#at < this.#chars.length) throw new RegexError(`unexpected ${this.#peek()} at ${this.#at}`)
    return regex
  }

  #peek(offset = 0): string {
    return this.#chars[this.#at + offset] ?? ""
  }

  #take(text: string): boolean {
    const isThere = [...text].every((char, i) => this.#peek(i) === char)
    if (isThere) this.#at += text.length
    return isThere
  }

  #choice(): Regex {
    if (++this.#depth > MAX_NESTING) throw new RegexError(`groups nested more than ${MAX_NESTING} deep`)
    const options = [this.#sequence()]
    while (this.#take("|")) options.push(this.#sequence())
    this.#depth--
    return options.length === 1 ? options[0]! : { kind: "choice", options }
  }

  #sequence(): Regex {
    const parts: Regex[] = []
    while (this.#at < this.#chars.length && this.#peek() !== "|" && this.#peek() !== ")") parts.push(this.#term())
    return parts.length === 1 ? parts[0]! : { kind: "sequence", parts }
  }

  #term(): Regex {
    if (this.#take("^")) return { kind: "start" }
    if (this.#take("$")) return { kind: "end" }
    return this.#quantified(this.#atom())
  }

  #quantified(part: Regex): Regex {
    const bounds = this.#quantifier()
    if (bounds === null) return part
    this.#take("?") // lazy: the same language
    return { kind: "repeat", part, ...bounds }
  }

  #quantifier(): { min: number; max: number } | null {
    if (this.#take("*")) return { min: 0, max: Infinity }
    if (this.#take("+")) return { min: 1, max: Infinity }
    if (this.#take("?")) return { min: 0, max: 1 }
    const match = /^\{(\d+)(,(\d*))?\}/.exec(this.#chars.slice(this.#at, this.#at + 24).join(""))
    if (match === null) return null
    this.#at += match[0].length
    const min = Number(match[1])
    return { min, max: match[2] === undefined ? min : match[3] === "" ? Infinity : Number(match[3]) }
  }

  #atom(): Regex {
    if (this.#take("(")) return this.#group()
    if (this.#take("[")) return { kind: "chars", set: this.#charClass() }
    if (this.#take(".")) return { kind: "chars", set: complement(LINE_ENDS) }
    if (this.#take("\\")) return { kind: "chars", set: this.#escape(false) }
    return { kind: "chars", set: chars(this.#chars[this.#at++]!) }
  }

  #group(): Regex {
    for (const [opening, words] of [["?=", "a lookahead"], ["?!", "a lookahead"], ["?<=", "a lookbehind"],
      ["?<!", "a lookbehind"]] as const) {
      if (this.#take(opening)) throw new RegexError(`(${opening} is ${words}, which no grammar can express`)
    }
    if (!this.#take("?:") && this.#take("?<")) while (this.#chars[this.#at++] !== ">");
    else if (this.#peek() === "?") throw new RegexError(`(?${this.#peek(1)} is not supported`)
    const inner = this.#choice()
    this.#at++ // the closing parenthesis: the engine has checked that it is there
    return inner
  }

  /** After a backslash. */
  #escape(isInClass: boolean): CharSet {
    const char = this.#chars[this.#at++]!
    const known = CLASS_ESCAPES[char]
    if (known !== undefined) return known
    if (char === "b" && isInClass) return chars("\b")
    if (char === "b" || char === "B") throw new RegexError(`\\${char} is a word boundary, which no grammar can express`)
    if (char === "k" || /[1-9]/.test(char)) throw new RegexError("a back reference, which no grammar can express")
    if (char === "p" || char === "P") return this.#property(char)
    if (char === "x") return this.#code(2)
    if (char === "u") return this.#unicode()
    if (char === "c") return chars(String.fromCharCode(this.#chars[this.#at++]!.charCodeAt(0) % 32))
    return chars(CONTROL_ESCAPES[char] ?? char)
  }

  #property(char: string): CharSet {
    const end = this.#chars.indexOf("}", this.#at)
    const name = this.#chars.slice(this.#at, end + 1).join("")
    this.#at = end + 1
    return propertySet(`\\${char}${name}`)
  }

  #code(digits: number): CharSet {
    const code = Number.parseInt(this.#chars.slice(this.#at, this.#at + digits).join(""), 16)
    this.#at += digits
    return [{ first: code, last: code }]
  }

  #unicode(): CharSet {
    if (this.#take("{")) {
      const end = this.#chars.indexOf("}", this.#at)
      const set = this.#code(end - this.#at)
      this.#at++
      return set
    }
    const [{ first }] = this.#code(4) as [{ first: number; last: number }]
    const isHigh = first >= 0xd800 && first < 0xdc00
    if (!isHigh || this.#peek() !== "\\" || this.#peek(1) !== "u") return [{ first, last: first }]
    this.#at += 2
    const [{ first: low }] = this.#code(4) as [{ first: number; last: number }]
    const code = 0x10000 + ((first - 0xd800) << 10) + (low - 0xdc00)
    return [{ first: code, last: code }]
  }

  #charClass(): CharSet {
    const isNegated = this.#take("^")
    let set: CharSet = []
    while (!this.#take("]")) {
      const from = this.#classAtom()
      const isRange = this.#peek() === "-" && this.#peek(1) !== "]" && isOne(from)
      if (!isRange) {
        set = union(set, from)
        continue
      }
      this.#at++
      const to = this.#classAtom()
      set = isOne(to) ? union(set, [{ first: from[0]!.first, last: to[0]!.first }]) : union(set, from, chars("-"), to)
    }
    return isNegated ? complement(set) : set
  }

  #classAtom(): CharSet {
    return this.#take("\\") ? this.#escape(true) : chars(this.#chars[this.#at++]!)
  }
}

function isOne(set: CharSet): boolean {
  return set.length === 1 && set[0]!.first === set[0]!.last
}

/** Any text. */
export const ANYTHING: Regex = { kind: "repeat", part: { kind: "chars", set: ALL_CHARS }, min: 0, max: Infinity }
