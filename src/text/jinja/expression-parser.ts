/** Parses the expressions of templates, with Jinja's precedence. */
import { parseFloatText, parseIntText } from "./numbers.ts"
import type { ArithmeticOperator } from "./arithmetic.ts"
import type { CallArguments, CompareOperator, Expression, FilterExpression } from "./syntax.ts"
import type { TokenStream } from "./token-stream.ts"

/** Operands, attributes or filters in one chain: trees of chains are walked by recursion. */
const MAX_CHAIN = 400

export interface TupleOptions {
  /** `a if b else c` is not read, as in the head of `for` and `if`. */
  readonly withoutConditional?: boolean
  /** Also ends the tuple. */
  readonly endName?: string
  /** In brackets a tuple may be empty. */
  readonly inBrackets?: boolean
}

/** One expression, or several in a tuple without brackets. */
export function parseTuple(tokens: TokenStream, options: TupleOptions = {}): Expression {
  const isEnd = () =>
    tokens.is("variable_end") || tokens.is("block_end") || tokens.isOperator(")") ||
    (options.endName !== undefined && tokens.isName(options.endName))
  const items: Expression[] = []
  let isTuple = false
  while (!isEnd()) {
    items.push(options.withoutConditional === true ? parseOr(tokens) : parseExpression(tokens))
    if (!tokens.skip("operator", ",")) break
    isTuple = true
  }
  if (isTuple) return { type: "tuple", items }
  if (items.length > 0) return items[0]!
  if (options.inBrackets !== true) tokens.fail(`expected an expression, got ${tokens.describe()}`)
  return { type: "tuple", items: [] }
}

export function parseExpression(tokens: TokenStream): Expression {
  return tokens.nested(() => {
    let then = parseOr(tokens)
    for (let length = 0; tokens.skip("name", "if"); length++) {
      checkChain(tokens, length)
      const test = parseOr(tokens)
      const otherwise = tokens.skip("name", "else") ? parseExpression(tokens) : null
      then = { type: "conditional", test, then, otherwise }
    }
    return then
  })
}

function parseOr(tokens: TokenStream): Expression {
  return parseChain(tokens, parseAnd, () => tokens.isName("or"), (left, _, right) => ({ type: "or", left, right }))
}

function parseAnd(tokens: TokenStream): Expression {
  return parseChain(tokens, parseNot, () => tokens.isName("and"), (left, _, right) => ({ type: "and", left, right }))
}

function parseNot(tokens: TokenStream): Expression {
  if (!tokens.skip("name", "not")) return parseComparison(tokens)
  return { type: "not", value: tokens.nested(() => parseNot(tokens)) }
}

const COMPARES = ["==", "!=", "<", "<=", ">", ">="]

function parseComparison(tokens: TokenStream): Expression {
  const first = parseSum(tokens)
  const rest: { operator: CompareOperator; value: Expression }[] = []
  for (;;) {
    const isNotIn = tokens.isName("not") && tokens.peek().type === "name" && tokens.peek().value === "in"
    if (isNotIn) tokens.next()
    if (!isNotIn && !tokens.isOperator(...COMPARES) && !tokens.isName("in")) break
    const operator = isNotIn ? "not in" : (tokens.current.value as CompareOperator)
    tokens.next()
    rest.push({ operator, value: parseSum(tokens) })
  }
  return rest.length === 0 ? first : { type: "comparison", first, rest }
}

function parseSum(tokens: TokenStream): Expression {
  return parseArithmetic(tokens, parseConcatenation, ["+", "-"])
}

function parseConcatenation(tokens: TokenStream): Expression {
  const parts = [parseProduct(tokens)]
  while (tokens.skip("operator", "~")) parts.push(parseProduct(tokens))
  return parts.length === 1 ? parts[0]! : { type: "concatenation", parts }
}

function parseProduct(tokens: TokenStream): Expression {
  return parseArithmetic(tokens, parsePower, ["*", "/", "//", "%"])
}

function parsePower(tokens: TokenStream): Expression {
  return parseArithmetic(tokens, (stream) => parseUnary(stream, true), ["**"])
}

function parseArithmetic(
  tokens: TokenStream, parseOperand: (tokens: TokenStream) => Expression, operators: readonly ArithmeticOperator[],
): Expression {
  return parseChain(tokens, parseOperand, () => tokens.isOperator(...operators), (left, operator, right) => (
    { type: "arithmetic", operator: operator as ArithmeticOperator, left, right }
  ))
}

/** Operands of one precedence, from left to right. */
function parseChain(
  tokens: TokenStream,
  parseOperand: (tokens: TokenStream) => Expression,
  isOperator: () => boolean,
  combine: (left: Expression, operator: string, right: Expression) => Expression,
): Expression {
  let left = parseOperand(tokens)
  for (let length = 0; isOperator(); length++) {
    checkChain(tokens, length)
    const operator = tokens.next().value
    left = combine(left, operator, parseOperand(tokens))
  }
  return left
}

function checkChain(tokens: TokenStream, length: number): void {
  if (length >= MAX_CHAIN) tokens.fail(`more than ${MAX_CHAIN} operators in a row`)
}

/** Filters bind to signs and what they are before, but not within: -1|abs is 1, -x.y is -(x.y). */
function parseUnary(tokens: TokenStream, withFilters: boolean): Expression {
  let value: Expression
  if (tokens.isOperator("-", "+")) {
    const sign = tokens.next().value as "+" | "-"
    value = { type: "sign", sign, value: tokens.nested(() => parseUnary(tokens, false)) }
  } else {
    value = parsePrimary(tokens)
  }
  value = parsePostfix(tokens, value)
  return withFilters ? parseFilters(tokens, value) : value
}

const CONSTANTS = new Map<string, boolean | null>([
  ["true", true], ["True", true], ["false", false], ["False", false], ["none", null], ["None", null],
])

export function parsePrimary(tokens: TokenStream): Expression {
  const token = tokens.current
  switch (token.type) {
    case "name": {
      tokens.next()
      const constant = CONSTANTS.get(token.value)
      return constant !== undefined ? { type: "constant", value: constant } : { type: "name", name: token.value }
    }
    case "string": {
      const texts: string[] = []
      while (tokens.is("string")) texts.push(tokens.next().value)
      return { type: "constant", value: texts.join("") }
    }
    case "integer":
      tokens.next()
      return { type: "constant", value: parseIntText(token.value, 0) ?? parseIntText(token.value, 10)! }
    case "float":
      tokens.next()
      return { type: "constant", value: parseFloatText(token.value)! }
  }
  if (tokens.skip("operator", "(")) {
    const value = tokens.nested(() => parseTuple(tokens, { inBrackets: true }))
    tokens.expect("operator", ")")
    return value
  }
  if (tokens.skip("operator", "[")) {
    return { type: "list", items: parseUntil(tokens, "]", () => parseExpression(tokens)) }
  }
  if (!tokens.skip("operator", "{")) tokens.fail(`unexpected ${tokens.describe()}`)
  const entries = parseUntil(tokens, "}", (): [Expression, Expression] => {
    const key = parseExpression(tokens)
    tokens.expect("operator", ":")
    return [key, parseExpression(tokens)]
  })
  return { type: "dict", entries }
}

/** Items between commas, up to and with the closing bracket. */
function parseUntil<T>(tokens: TokenStream, close: string, parseItem: () => T): T[] {
  const items: T[] = []
  while (!tokens.isOperator(close)) {
    if (items.length > 0) {
      tokens.expect("operator", ",")
      if (tokens.isOperator(close)) break
    }
    items.push(parseItem())
  }
  tokens.next()
  return items
}

export function parsePostfix(tokens: TokenStream, start: Expression): Expression {
  let value = start
  for (let length = 0; tokens.isOperator(".", "[", "("); length++) {
    checkChain(tokens, length)
    value = tokens.isOperator("(")
      ? { type: "call", callee: value, args: parseArguments(tokens) }
      : parseSubscript(tokens, value)
  }
  return value
}

function parseFilters(tokens: TokenStream, start: Expression): Expression {
  let value = start
  for (let length = 0; ; length++) {
    checkChain(tokens, length)
    if (tokens.skip("operator", "|")) value = parseFilter(tokens, value)
    else if (tokens.isName("is")) value = parseTest(tokens, value)
    else if (tokens.isOperator("(")) value = { type: "call", callee: value, args: parseArguments(tokens) }
    else return value
  }
}

function parseSubscript(tokens: TokenStream, object: Expression): Expression {
  if (tokens.next().value === ".") {
    const token = tokens.next()
    if (token.type === "name") return { type: "attribute", object, name: token.value }
    if (token.type !== "integer") tokens.fail("expected name or number")
    return { type: "item", object, key: { type: "constant", value: parseIntText(token.value, 10)! } }
  }
  const keys = parseUntil(tokens, "]", () => parseKey(tokens))
  if (keys.length === 1 && Array.isArray(keys[0])) return { type: "slice", object, parts: keys[0] }
  if (keys.some((key) => Array.isArray(key))) tokens.fail("a slice beside other keys is not supported")
  const items = keys as Expression[]
  return { type: "item", object, key: items.length === 1 ? items[0]! : { type: "tuple", items } }
}

/** A key, or the three parts of a slice. */
function parseKey(tokens: TokenStream): Expression | (Expression | null)[] {
  const first = tokens.isOperator(":") ? null : parseExpression(tokens)
  if (!tokens.skip("operator", ":")) return first!
  const part = () => (tokens.isOperator(":", "]", ",") ? null : parseExpression(tokens))
  const stop = part()
  return [first, stop, tokens.skip("operator", ":") ? part() : null]
}

export function parseArguments(tokens: TokenStream): CallArguments {
  const positional: Expression[] = []
  const named: [string, Expression][] = []
  let list: Expression | null = null
  let dict: Expression | null = null
  tokens.expect("operator", "(")
  const refuseIf = (isWrong: boolean) => {
    if (isWrong) tokens.fail("invalid syntax for function call expression")
  }
  parseUntil(tokens, ")", () => {
    if (tokens.skip("operator", "*")) {
      refuseIf(list !== null || dict !== null)
      list = parseExpression(tokens)
    } else if (tokens.skip("operator", "**")) {
      refuseIf(dict !== null)
      dict = parseExpression(tokens)
    } else if (tokens.is("name") && tokens.peek().type === "operator" && tokens.peek().value === "=") {
      refuseIf(dict !== null)
      const name = tokens.next().value
      tokens.next()
      named.push([name, parseExpression(tokens)])
    } else {
      refuseIf(list !== null || dict !== null || named.length > 0)
      positional.push(parseExpression(tokens))
    }
  })
  return { positional, named, list, dict }
}

const NO_ARGUMENTS: CallArguments = { positional: [], named: [], list: null, dict: null }

/** Behind the "|" of a filter. */
export function parseFilter(tokens: TokenStream, value: Expression | null): FilterExpression {
  const name = parseDottedName(tokens)
  return { type: "filter", value, name, args: tokens.isOperator("(") ? parseArguments(tokens) : NO_ARGUMENTS }
}

function parseDottedName(tokens: TokenStream): string {
  let name = tokens.expect("name").value
  while (tokens.skip("operator", ".")) name += `.${tokens.expect("name").value}`
  return name
}

function parseTest(tokens: TokenStream, value: Expression): Expression {
  tokens.next()
  const isNegated = tokens.skip("name", "not")
  const name = parseDottedName(tokens)
  let args = NO_ARGUMENTS
  const startsArgument =
    tokens.is("name") || tokens.is("string") || tokens.is("integer") || tokens.is("float") ||
    tokens.isOperator("[", "{")
  if (tokens.isOperator("(")) args = parseArguments(tokens)
  else if (startsArgument && !tokens.isName("else", "or", "and")) {
    if (tokens.isName("is")) tokens.fail("You cannot chain multiple tests with is")
    args = { ...NO_ARGUMENTS, positional: [parsePostfix(tokens, parsePrimary(tokens))] }
  }
  const test: Expression = { type: "test", value, name, args }
  return isNegated ? { type: "not", value: test } : test
}
