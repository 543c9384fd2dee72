/**
 * Splits the source of a template into text, tags and their tokens, with the white space that `trim_blocks`,
 * `lstrip_blocks` and the signs `-` and `+` take away already gone.
 */
import { TemplateSyntaxError } from "./errors.ts"

export type TokenType =
  | "data" | "block_begin" | "block_end" | "variable_begin" | "variable_end"
  | "name" | "string" | "integer" | "float" | "operator" | "end"

export interface Token {
  readonly type: TokenType
  /** Text of data, names and operators; strings without quotes and escapes; numbers as they are written. */
  readonly value: string
  readonly line: number
}

/** White space of Python's regular expressions. */
const S = "[\\s\\x1c-\\x1f\\x85]"

const RAW_BEGIN = new RegExp(`\\{%([-+]?)${S}*raw${S}*(?:-%\\}${S}*|%\\})`, "y")
const RAW_END = new RegExp(`\\{%([-+]?)${S}*endraw${S}*(?:\\+%\\}|-%\\}${S}*|%\\}\\n?)`, "g")
const COMMENT_END = new RegExp(`\\+#\\}|-#\\}${S}*|#\\}\\n?`, "g")
const BLOCK_END = new RegExp(`\\+%\\}|-%\\}${S}*|%\\}\\n?`, "y")
const VARIABLE_END = new RegExp(`-\\}\\}${S}*|\\}\\}`, "y")
const TAG = /\{[%{#]/g

const WHITE_SPACE = new RegExp(`${S}+`, "y")
const ONLY_SPACE = new RegExp(`^${S}+$`)
const FLOAT = /(?<!\.)(?:\d+_)*\d+(?:(?:\.(?:\d+_)*\d+)?e[+-]?(?:\d+_)*\d+|\.(?:\d+_)*\d+)/iy
const INTEGER = /0b(?:_?[01])+|0o(?:_?[0-7])+|0x(?:_?[\da-f])+|[1-9](?:_?\d)*|0(?:_?0)*/iy
const NAME = /[\p{L}\p{N}_\p{Mn}\p{Mc}\p{Pc}]+/uy
const IDENTIFIER = /^[\p{XID_Start}_]\p{XID_Continue}*$/u
const STRING = /'[^'\\]*(?:\\[^][^'\\]*)*'|"[^"\\]*(?:\\[^][^"\\]*)*"/y
const OPERATOR = /\/\/|\*\*|==|!=|>=|<=|[-+*/%~[\](){}<>=.:|,;]/y

const LINE_FEED = 10
/** More than the parser takes. */
const MAX_BRACKETS = 200
const CLOSING: Readonly<Record<string, string>> = { "(": ")", "[": "]", "{": "}" }

/** Errors: `TemplateSyntaxError`. */
export function tokenize(source: string): Token[] {
  return new Lexer(source).run()
}

class Lexer {
  readonly #source: string
  readonly #tokens: Token[] = []
  #at = 0
  #line = 1
  /** Whether what has been read ends a line: white space before a tag then goes. */
  #isLineStart = true

  constructor(source: string) {
    // Of the line breaks that end a template, one is not part of it.
    this.#source = source.replace(/\r\n?/g, "\n").replace(/\n$/, "")
  }

  run(): Token[] {
    while (this.#at < this.#source.length) this.#readToTag()
    this.#add("end", "")
    return this.#tokens
  }

  #readToTag(): void {
    TAG.lastIndex = this.#at
    const tag = TAG.exec(this.#source)
    if (tag === null) {
      this.#add("data", this.#source.slice(this.#at))
      this.#advance(this.#source.length)
      return
    }
    const text = this.#source.slice(this.#at, tag.index)
    const kind = tag[0][1]
    const raw = kind === "%" ? this.#match(RAW_BEGIN, tag.index) : null
    const sign = raw?.[1] ?? /^[-+]/.exec(this.#source.slice(tag.index + 2, tag.index + 3))?.[0] ?? ""
    this.#add("data", stripBefore(text, sign, kind !== "{", this.#isLineStart))
    this.#advance(tag.index + (raw === null ? 2 + sign.length : raw[0].length))
    if (raw !== null) this.#readRaw()
    else if (kind === "#") this.#readComment()
    else this.#readTag(kind === "{" ? "variable" : "block")
  }

  #readRaw(): void {
    RAW_END.lastIndex = this.#at
    const end = RAW_END.exec(this.#source)
    if (end === null) this.#fail("Missing end of raw directive")
    this.#add("data", stripBefore(this.#source.slice(this.#at, end.index), end[1]!, true, this.#isLineStart))
    this.#advance(end.index + end[0].length)
  }

  #readComment(): void {
    COMMENT_END.lastIndex = this.#at
    const end = COMMENT_END.exec(this.#source)
    if (end === null) this.#fail("Missing end of comment tag")
    this.#advance(end.index + end[0].length)
  }

  #readTag(kind: "variable" | "block"): void {
    this.#add(`${kind}_begin`, "")
    const open: string[] = []
    for (;;) {
      // In brackets, what looks like the end of a tag is operators: {{ {'a': {}} }}
      const end = open.length > 0 ? null : this.#match(kind === "block" ? BLOCK_END : VARIABLE_END, this.#at)
      if (end !== null) {
        this.#add(`${kind}_end`, "")
        return this.#advance(this.#at + end[0].length)
      }
      const space = this.#match(WHITE_SPACE, this.#at)
      if (space !== null) this.#advance(this.#at + space[0].length)
      else this.#readToken(open)
    }
  }

  #readToken(open: string[]): void {
    const first = this.#source[this.#at]
    if (first === undefined) this.#fail("unexpected end of template")
    const length = /[0-9]/.test(first) ? this.#readNumber()
      : first === "'" || first === '"' ? this.#readString()
      : this.#readName() || this.#readOperator(open)
    if (length === 0) {
      this.#fail(`unexpected char ${JSON.stringify(String.fromCodePoint(this.#source.codePointAt(this.#at)!))}`)
    }
    this.#advance(this.#at + length)
  }

  // Each reads one token if there is one of its kind, and returns the length in the source.

  #readNumber(): number {
    const float = this.#match(FLOAT, this.#at)
    const [text] = float ?? this.#match(INTEGER, this.#at)!
    this.#add(float === null ? "integer" : "float", text.replaceAll("_", ""))
    return text.length
  }

  #readString(): number {
    const text = this.#match(STRING, this.#at)?.[0]
    if (text !== undefined) this.#add("string", this.#unescape(text.slice(1, -1)))
    return text?.length ?? 0
  }

  #readName(): number {
    const name = this.#match(NAME, this.#at)?.[0] ?? ""
    if (name !== "" && !IDENTIFIER.test(name)) this.#fail("Invalid character in identifier")
    if (name !== "") this.#add("name", name)
    return name.length
  }

  #readOperator(open: string[]): number {
    const operator = this.#match(OPERATOR, this.#at)?.[0] ?? ""
    if (operator === "") return 0
    if (CLOSING[operator] !== undefined) {
      open.push(CLOSING[operator]!)
      if (open.length > MAX_BRACKETS) this.#fail(`more than ${MAX_BRACKETS} brackets within each other`)
    } else if (/[)\]}]/.test(operator)) {
      const expected = open.pop()
      if (expected === undefined) this.#fail(`unexpected '${operator}'`)
      if (expected !== operator) this.#fail(`unexpected '${operator}', expected '${expected}'`)
    }
    this.#add("operator", operator)
    return operator.length
  }

  #unescape(text: string): string {
    return text.replace(ESCAPE, (escape, body: string) => {
      if (body === "\n") return ""
      const simple = SIMPLE_ESCAPES[body]
      if (simple !== undefined) return simple
      if (/^[0-7]/.test(body)) return String.fromCharCode(parseInt(body, 8))
      // A backslash before other than ASCII stands for itself, and what follows is escaped by Python's codec.
      if (body.codePointAt(0)! > 0x7f) return `\\${asciiEscape(body.codePointAt(0)!)}`
      if (!/^[xuUN]/.test(body)) return escape
      const code = /^[xuU][\da-fA-F]+$/.test(body) ? parseInt(body.slice(1), 16) : Infinity
      if (code > 0x10ffff) this.#fail(`an escape in a string cannot be read: ${escape}`)
      return String.fromCodePoint(code)
    })
  }

  #match(pattern: RegExp, at: number): RegExpExecArray | null {
    pattern.lastIndex = at
    return pattern.exec(this.#source)
  }

  #add(type: TokenType, value: string): void {
    if (type !== "data" || value !== "") this.#tokens.push({ type, value, line: this.#line })
  }

  #advance(to: number): void {
    for (let at = this.#at; at < to; at++) if (this.#source.charCodeAt(at) === LINE_FEED) this.#line++
    this.#isLineStart = this.#source[to - 1] === "\n"
    this.#at = to
  }

  #fail(message: string): never {
    throw new TemplateSyntaxError(message, this.#line)
  }
}

const ESCAPE = /\\(\n|[0-7]{1,3}|x[\da-fA-F]{2}|u[\da-fA-F]{4}|U[\da-fA-F]{8}|[^])/gu
const SIMPLE_ESCAPES: Readonly<Record<string, string>> = {
  "\\": "\\", "'": "'", '"': '"', a: "\x07", b: "\b", f: "\f", n: "\n", r: "\r", t: "\t", v: "\v",
}

function asciiEscape(code: number): string {
  if (code < 0x100) return `x${code.toString(16).padStart(2, "0")}`
  return code < 0x10000 ? `u${code.toString(16).padStart(4, "0")}` : `U${code.toString(16).padStart(8, "0")}`
}

/** Text before a tag: "-" takes all white space at its end, blocks and comments take that of their own line. */
function stripBefore(text: string, sign: string, isBlock: boolean, isLineStart: boolean): string {
  if (sign === "-") return trimEnd(text)
  if (sign === "+" || !isBlock) return text
  const lineStart = text.lastIndexOf("\n") + 1
  const isAlone = (lineStart > 0 || isLineStart) && ONLY_SPACE.test(text.slice(lineStart))
  return isAlone ? text.slice(0, lineStart) : text
}

function trimEnd(text: string): string {
  let end = text.length
  while (end > 0 && ONLY_SPACE.test(text[end - 1]!)) end--
  return text.slice(0, end)
}
