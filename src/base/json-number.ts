/**
 * Numbers of JSON that a double does not hold as they are written: 2512292042121000001, 1.0, 1e20. What goes into a
 * prompt has to say what its author said, and Python, where chat templates come from, tells integers of any size and
 * floats apart.
 */
import { RequestError } from "./errors.ts"

/** As many digits as Python reads into an integer. */
const MAX_DIGITS = 4300
/** Numbers that one text may have beyond those that a double holds: each takes more memory than its text. */
const MAX_KEPT_NUMBERS = 2 ** 15

/** As `JSON.rawJSON` makes it, so that `JSON.stringify` writes it as it came. */
export interface JsonNumber {
  readonly rawJSON: string
}

const RAW = JSON as unknown as { rawJSON(text: string): JsonNumber; isRawJSON(value: unknown): boolean }

export function isJsonNumber(value: unknown): value is JsonNumber {
  return RAW.isRawJSON(value)
}

/** Without a fraction and an exponent, as Python has it: 1e20 is a float. */
export function isInteger({ rawJSON }: JsonNumber): boolean {
  return /^-?\d+$/.test(rawJSON)
}

/** Where such numbers are in a value: its text, or the parts of an array or object that have some. Plain data. */
export type NumberTexts = string | ReadonlyMap<string | number, NumberTexts>

/** `JSON.parse`, with a `JsonNumber` wherever a double would not do. Errors: `SyntaxError`; those of `numberTexts`. */
export function parseExactly(text: string): unknown {
  const value: unknown = JSON.parse(text)
  return withNumberTexts(value, numberTexts(text))
}

/**
 * The numbers of `text`, which is JSON not nested too deep for recursion; null without any. Linear in its length.
 *
 * Errors: `RequestError` for a number of too many digits, and for more numbers than may be kept.
 */
export function numberTexts(text: string): NumberTexts | null {
  // Most texts have none, and a search tells that faster.
  return /\d{16}|\d[.eE]/.test(text) ? new NumberScanner(text).read() : null
}

/** `value`, which `texts` was read beside, with its numbers put in: in place, but for a number itself. */
export function withNumberTexts(value: unknown, texts: NumberTexts | null): unknown {
  if (texts === null) return value
  if (typeof texts === "string") return typeof value === "number" ? RAW.rawJSON(texts) : value
  if (typeof value !== "object" || value === null) return value
  const container = value as Record<string | number, unknown>
  for (const [key, part] of texts) {
    if (Object.hasOwn(container, key)) container[key] = withNumberTexts(container[key], part)
  }
  return value
}

class NumberScanner {
  readonly #text: string
  #at = 0
  #numKept = 0

  constructor(text: string) {
    this.#text = text
  }

  /** Reads one value. */
  read(): NumberTexts | null {
    this.#skipSpace()
    switch (this.#text[this.#at]) {
      case "\"":
        this.#readString()
        return null
      case "{":
        return this.#readContainer("}", () => this.#readKey())
      case "[":
        return this.#readContainer("]", (index) => index)
      default:
        return this.#readScalar()
    }
  }

  #readContainer(closer: string, keyOf: (index: number) => string | number): NumberTexts | null {
    let found: Map<string | number, NumberTexts> | null = null
    this.#at += 1
    for (let index = 0; !this.#take(closer); index++) {
      this.#take(",")
      const key = keyOf(index)
      const texts = this.read()
      if (texts !== null) (found ??= new Map()).set(key, texts)
      // Of a key that comes twice the last value counts.
      else found?.delete(key)
    }
    return found
  }

  #readKey(): string {
    this.#skipSpace()
    const raw = this.#readString()
    this.#take(":")
    return raw.includes("\\") ? (JSON.parse(raw) as string) : raw.slice(1, -1)
  }

  /** Returns it with its quotes. */
  #readString(): string {
    const start = this.#at
    let end = start
    do end = this.#text.indexOf("\"", end + 1)
    while (this.#isEscaped(end))
    this.#at = end + 1
    return this.#text.slice(start, this.#at)
  }

  #isEscaped(at: number): boolean {
    let slash = at
    while (this.#text[slash - 1] === "\\") slash--
    return (at - slash) % 2 === 1
  }

  #readScalar(): string | null {
    const scalar = /[^\s,\]}]*/y
    scalar.lastIndex = this.#at
    const [text = ""] = scalar.exec(this.#text) ?? []
    this.#at += text.length
    return isHeld(text) ? null : this.#kept(text)
  }

  #kept(text: string): string {
    if (text.length > MAX_DIGITS && /^-?\d+$/.test(text)) {
      throw new RequestError(`JSON has an integer of ${text.length} digits; the limit is ${MAX_DIGITS}.`)
    }
    this.#numKept += 1
    if (this.#numKept > MAX_KEPT_NUMBERS) {
      throw new RequestError(
        `JSON has more than ${MAX_KEPT_NUMBERS} numbers with a point, an exponent or more digits than a double holds.`,
      )
    }
    return text
  }

  #take(wanted: string): boolean {
    this.#skipSpace()
    if (this.#text[this.#at] !== wanted) return false
    this.#at += 1
    return true
  }

  #skipSpace(): void {
    while (this.#at < this.#text.length && " \n\r\t".includes(this.#text[this.#at]!)) this.#at++
  }
}

/** Whether a double says the same: true of a number with a fraction, not of a large integer or a whole float. */
function isHeld(text: string): boolean {
  const value = Number(text)
  if (Number.isNaN(value)) return true // true, false, null
  const isFloat = /[.eE]/.test(text)
  return isFloat ? Number.isFinite(value) && !Number.isInteger(value) : Number.isSafeInteger(value)
}
