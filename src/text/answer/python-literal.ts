/**
 * Python's literals as JSON: strings, numbers, True, False and None, and lists, tuples, sets and dicts of them.
 *
 * Strings have Python's prefixes and escapes, in one or three quotes of either kind; a line break may stand in any.
 */
const WORDS: Readonly<Record<string, string>> = {
  True: "true", False: "false", None: "null", true: "true", false: "false", null: "null",
}
const ESCAPES: Readonly<Record<string, string>> = {
  "\n": "", "\\": "\\", "'": "'", "\"": "\"", a: "\x07", b: "\b", f: "\f", n: "\n", r: "\r", t: "\t", v: "\v",
}
const ESCAPE = /\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{1,3}|[^])/g
const CLOSERS: Readonly<Record<string, string>> = { "[": "]", "(": ")", "{": "}" }
const MAX_DEPTH = 100

/** Returns the JSON of one literal, or null where `text` is none. */
export function pythonToJson(text: string): string | null {
  const reader = new LiteralReader(text)
  try {
    const json = reader.value(0)
    return reader.isAtEnd() ? json : null
  } catch (error) {
    if (error instanceof NotALiteral) return null
    throw error
  }
}

class NotALiteral extends Error {}

class LiteralReader {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  isAtEnd(): boolean {
    this.#skipSpace()
    return this.#at === this.#text.length
  }

  value(depth: number): string {
    if (depth > MAX_DEPTH) throw new NotALiteral("too deep")
    this.#skipSpace()
    const unit = this.#text[this.#at] ?? ""
    if (unit in CLOSERS) return this.#collection(unit, depth)
    if (/^[rRbBuUfF]{0,2}["']/.test(this.#text.slice(this.#at, this.#at + 3))) return JSON.stringify(this.#strings())
    const word = /[\w.+-]*/y
    word.lastIndex = this.#at
    const [found = ""] = word.exec(this.#text) ?? []
    this.#at += found.length
    return Object.hasOwn(WORDS, found) ? WORDS[found]! : numberOf(found)
  }

  /** A list, tuple or set, or a dict. */
  #collection(opener: string, depth: number): string {
    const closer = CLOSERS[opener]!
    const values: string[] = []
    let isDict = opener === "{"
    let hasComma = false
    this.#at += 1
    while (!this.#take(closer)) {
      if (values.length > 0) this.#need(",")
      hasComma ||= values.length > 0
      if (values.length > 0 && this.#take(closer)) break
      const value = this.value(depth + 1)
      if (opener === "{" && values.length === 0) isDict = this.#take(":")
      else if (isDict) this.#need(":")
      values.push(isDict ? `${keyOf(value)}: ${this.value(depth + 1)}` : value)
    }
    // Round brackets around one value are only brackets.
    if (opener === "(" && values.length === 1 && !hasComma) return values[0]!
    return isDict ? `{${values.join(", ")}}` : `[${values.join(", ")}]`
  }

  /** Strings beside each other are one. */
  #strings(): string {
    let text = ""
    const string = /([rRbBuUfF]{0,2})("""|'''|"|')/y
    for (;;) {
      string.lastIndex = this.#at
      const match = string.exec(this.#text)
      if (match === null) return text
      const [all, prefix = "", quote = ""] = match
      this.#at += all.length
      text += this.#stringBody(quote, /r/i.test(prefix), /f/i.test(prefix))
      this.#skipSpace()
    }
  }

  #stringBody(quote: string, isRaw: boolean, isFormat: boolean): string {
    const start = this.#at
    while (!this.#text.startsWith(quote, this.#at)) {
      if (this.#at >= this.#text.length) throw new NotALiteral("a string without an end")
      this.#at += this.#text[this.#at] === "\\" ? 2 : 1
    }
    const body = this.#text.slice(start, this.#at)
    this.#at += quote.length
    if (isFormat && /[{}]/.test(body)) throw new NotALiteral("a format string")
    return isRaw ? body : body.replaceAll(ESCAPE, (_, escape: string) => unescaped(escape))
  }

  #take(wanted: string): boolean {
    this.#skipSpace()
    if (this.#text[this.#at] !== wanted) return false
    this.#at += 1
    return true
  }

  #need(wanted: string): void {
    if (!this.#take(wanted)) throw new NotALiteral(`no ${wanted}`)
  }

  #skipSpace(): void {
    while (this.#at < this.#text.length && this.#text[this.#at]!.trim() === "") this.#at++
  }
}

function unescaped(escape: string): string {
  const kind = escape[0]!
  if (/[0-7]/.test(kind)) return String.fromCharCode(parseInt(escape, 8))
  if (escape.length === 1) return ESCAPES[kind] ?? `\\${escape}`
  const code = parseInt(escape.slice(1), 16)
  if (code > 0x10ffff) throw new NotALiteral("no such character")
  return String.fromCodePoint(code)
}

/** Keys of JSON are strings. */
function keyOf(json: string): string {
  return json.startsWith("\"") ? json : JSON.stringify(json)
}

function numberOf(word: string): string {
  if (/^[+-]?\d[\d_]*$/.test(word)) return String(BigInt(word.replaceAll(/[+_]/g, "")))
  const value = /^[+-]?(\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(e[+-]?\d+)?$/i.test(word) ? Number(word.replaceAll("_", "")) : NaN
  if (!Number.isFinite(value)) throw new NotALiteral("no number")
  return String(value)
}
