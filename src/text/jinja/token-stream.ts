/** The tokens of a template, read one after the other. */
import { TemplateSyntaxError } from "./errors.ts"
import { tokenize, type Token, type TokenType } from "./lexer.ts"

/** Expressions and statements within each other: far more than templates have, far less than the stack holds. */
const MAX_DEPTH = 200

export class TokenStream {
  readonly #tokens: readonly Token[]
  #at = 0
  #depth = 0

  constructor(source: string) {
    this.#tokens = tokenize(source)
  }

  get current(): Token {
    return this.#tokens[this.#at]!
  }

  peek(): Token {
    return this.#tokens[this.#at + 1] ?? this.current
  }

  next(): Token {
    const token = this.current
    if (token.type !== "end") this.#at++
    return token
  }

  is(type: TokenType, value?: string): boolean {
    return this.current.type === type && (value === undefined || this.current.value === value)
  }

  isName(...names: string[]): boolean {
    return this.current.type === "name" && names.includes(this.current.value)
  }

  isOperator(...operators: string[]): boolean {
    return this.current.type === "operator" && operators.includes(this.current.value)
  }

  /** Passes the token if it is this one. */
  skip(type: TokenType, value: string): boolean {
    const isThere = this.is(type, value)
    if (isThere) this.next()
    return isThere
  }

  expect(type: TokenType, value?: string): Token {
    if (this.is(type, value)) return this.next()
    this.fail(`expected ${value ?? type.replace("_", " ")}, got ${this.describe()}`)
  }

  describe(): string {
    const { type, value } = this.current
    if (type === "end") return "the end of the template"
    return value === "" || type === "data" ? type.replace("_", " ") : `'${value}'`
  }

  /** `parse` one level deeper. */
  nested<T>(parse: () => T): T {
    if (++this.#depth > MAX_DEPTH) this.fail(`more than ${MAX_DEPTH} levels`)
    const result = parse()
    this.#depth--
    return result
  }

  fail(message: string): never {
    throw new TemplateSyntaxError(message, this.current.line)
  }
}
