/** Parses the statements of templates: Jinja's own tags, loop controls, and transformers' `{% generation %}`. */
import { parseExpression, parseFilter, parseTuple } from "./expression-parser.ts"
import type {
  Expression, FilterExpression, ForStatement, MacroDefinition, Parameter, Statement, Target,
} from "./syntax.ts"
import { TokenStream } from "./token-stream.ts"

/** Errors: `TemplateSyntaxError`. */
export function parseTemplate(source: string): readonly Statement[] {
  return new Parser(source).parse()
}

type StatementParser = (parser: Parser) => Statement

class Parser {
  readonly tokens: TokenStream
  /** Loops around the statement, within the macro it is in. */
  loopDepth = 0

  constructor(source: string) {
    this.tokens = new TokenStream(source)
  }

  parse(): readonly Statement[] {
    const body = this.#statements([])
    if (!this.tokens.is("end")) this.tokens.fail(`unexpected ${this.tokens.describe()}`)
    return body
  }

  /** What follows a tag, up to one of the tags that may end it; that one's name is the current token. */
  body(...ends: string[]): readonly Statement[] {
    this.tokens.skip("operator", ":")
    this.tokens.expect("block_end")
    const body = this.tokens.nested(() => this.#statements(ends))
    if (this.tokens.is("end")) this.tokens.fail(`unexpected end of template, expected ${ends.join(" or ")}`)
    return body
  }

  /** The same where only one tag can end it, which is passed. */
  bodyUntil(end: string): readonly Statement[] {
    const body = this.body(end)
    this.tokens.next()
    return body
  }

  #statements(ends: readonly string[]): readonly Statement[] {
    const { tokens } = this
    const statements: Statement[] = []
    for (;;) {
      if (tokens.is("data")) {
        statements.push({ type: "text", text: tokens.next().value })
      } else if (tokens.is("variable_begin")) {
        tokens.next()
        statements.push({ type: "print", value: parseTuple(tokens) })
        tokens.expect("variable_end")
      } else if (tokens.is("block_begin")) {
        tokens.next()
        if (tokens.isName(...ends)) return statements
        statements.push(this.#statement())
        tokens.expect("block_end")
      } else {
        return statements
      }
    }
  }

  #statement(): Statement {
    const tokens: TokenStream = this.tokens
    if (!tokens.is("name")) tokens.fail("tag name expected")
    const parse = STATEMENTS.get(tokens.current.value)
    if (parse === undefined) tokens.fail(`Encountered unknown tag '${tokens.current.value}'`)
    tokens.next()
    return parse(this)
  }

  /** A body that `break` and `continue` of loops around it do not reach. */
  separate<T>(parse: () => T): T {
    const { loopDepth } = this
    this.loopDepth = 0
    const result = parse()
    this.loopDepth = loopDepth
    return result
  }
}

function parseFor(parser: Parser): ForStatement {
  const { tokens } = parser
  const target = parseTarget(tokens, { endName: "in" })
  tokens.expect("name", "in")
  const iterable = parseTuple(tokens, { withoutConditional: true, endName: "recursive" })
  const test = tokens.skip("name", "if") ? parseExpression(tokens) : null
  const isRecursive = tokens.skip("name", "recursive")
  parser.loopDepth++
  const body = parser.body("endfor", "else")
  parser.loopDepth--
  const otherwise = tokens.next().value === "else" ? parser.bodyUntil("endfor") : []
  return { type: "for", target, iterable, test, isRecursive, body, otherwise }
}

function parseIf(parser: Parser): Statement {
  const { tokens } = parser
  const branches: { test: Expression; body: readonly Statement[] }[] = []
  for (;;) {
    const test = parseTuple(tokens, { withoutConditional: true })
    branches.push({ test, body: parser.body("elif", "else", "endif") })
    const end = tokens.next().value
    if (end === "elif") continue
    return { type: "if", branches, otherwise: end === "else" ? parser.bodyUntil("endif") : [] }
  }
}

function parseSet(parser: Parser): Statement {
  const { tokens } = parser
  const target = parseTarget(tokens, { withNamespace: true })
  if (tokens.skip("operator", "=")) return { type: "set", target, value: parseTuple(tokens) }
  let filter: FilterExpression | null = null
  while (tokens.skip("operator", "|")) filter = parseFilter(tokens, filter)
  return { type: "set_block", target, filter, body: parser.separate(() => parser.bodyUntil("endset")) }
}

function parseMacro(parser: Parser): Statement {
  const name = parser.tokens.expect("name").value
  const parameters = parseParameters(parser.tokens)
  const body = parser.separate(() => parser.bodyUntil("endmacro"))
  return { type: "macro", macro: { name, parameters, body } }
}

function parseCallBlock(parser: Parser): Statement {
  const tokens: TokenStream = parser.tokens
  const parameters = tokens.isOperator("(") ? parseParameters(tokens) : []
  const call = parseExpression(tokens)
  if (call.type !== "call") tokens.fail("expected call")
  const body = parser.separate(() => parser.bodyUntil("endcall"))
  const caller: MacroDefinition = { name: "caller", parameters, body }
  return { type: "call_block", call, caller }
}

function parseParameters(tokens: TokenStream): Parameter[] {
  const parameters: Parameter[] = []
  tokens.expect("operator", "(")
  while (!tokens.isOperator(")")) {
    if (parameters.length > 0) tokens.expect("operator", ",")
    const name = tokens.expect("name").value
    const fallback = tokens.skip("operator", "=") ? parseExpression(tokens) : null
    if (fallback === null && (parameters.at(-1)?.fallback ?? null) !== null) {
      tokens.fail("non-default argument follows default argument")
    }
    parameters.push({ name, fallback })
  }
  tokens.next()
  return parameters
}

function parseFilterBlock(parser: Parser): Statement {
  const { tokens } = parser
  let filter = parseFilter(tokens, null)
  while (tokens.skip("operator", "|")) filter = parseFilter(tokens, filter)
  return { type: "filter_block", filter, body: parser.separate(() => parser.bodyUntil("endfilter")) }
}

function parseWith(parser: Parser): Statement {
  const { tokens } = parser
  const assignments: { target: Target; value: Expression }[] = []
  while (!tokens.is("block_end")) {
    if (assignments.length > 0) tokens.expect("operator", ",")
    const target = parseTarget(tokens)
    tokens.expect("operator", "=")
    assignments.push({ target, value: parseExpression(tokens) })
  }
  return { type: "with", assignments, body: parser.bodyUntil("endwith") }
}

function parseBlock(parser: Parser): Statement {
  const { tokens } = parser
  const { value: name } = tokens.expect("name")
  const isScoped = tokens.skip("name", "scoped")
  tokens.skip("name", "required")
  const body = parser.separate(() => parser.bodyUntil("endblock"))
  tokens.skip("name", name)
  return { type: "block", isScoped, body }
}

function parsePrint({ tokens }: Parser): Statement {
  const parts: Expression[] = []
  while (!tokens.is("block_end")) {
    if (parts.length > 0) tokens.expect("operator", ",")
    parts.push(parseExpression(tokens))
  }
  return { type: "print", value: { type: "concatenation", parts } }
}

const parseLoopControl = (type: "break" | "continue"): StatementParser => (parser) => {
  if (parser.loopDepth === 0) parser.tokens.fail(`'${type}' outside a loop`)
  return { type }
}

/** `{% include %}` and its kin: a chat template is one file. */
function parseLoad({ tokens }: Parser): Statement {
  while (!tokens.is("block_end") && !tokens.is("end")) tokens.next()
  return { type: "unsupported", message: "no loader for this environment: a chat template cannot load others" }
}

function parseAutoescape(parser: Parser): Statement {
  const value = parseExpression(parser.tokens)
  const body = parser.bodyUntil("endautoescape")
  if (value.type === "constant" && value.value === false) return { type: "block", isScoped: true, body }
  return { type: "unsupported", message: "{% autoescape %} is not supported" }
}

const STATEMENTS: ReadonlyMap<string, StatementParser> = new Map<string, StatementParser>([
  ["autoescape", parseAutoescape],
  ["block", parseBlock],
  ["break", parseLoopControl("break")],
  ["call", parseCallBlock],
  ["continue", parseLoopControl("continue")],
  ["extends", parseLoad],
  ["filter", parseFilterBlock],
  ["for", parseFor],
  ["from", parseLoad],
  ["generation", (parser) => (
    { type: "block", isScoped: true, body: parser.separate(() => parser.bodyUntil("endgeneration")) }
  )],
  ["if", parseIf],
  ["import", parseLoad],
  ["include", parseLoad],
  ["macro", parseMacro],
  ["print", parsePrint],
  ["set", parseSet],
  ["with", parseWith],
])

interface TargetOptions {
  readonly endName?: string
  readonly withNamespace?: boolean
}

/** Names, one or several, in brackets or not; `namespace.name` where that may be set. */
function parseTarget(tokens: TokenStream, { endName, withNamespace = false }: TargetOptions = {}): Target {
  const items: Target[] = []
  let isTuple = false
  const isEnd = () =>
    (endName !== undefined && tokens.isName(endName)) || tokens.isOperator(")") || tokens.is("block_end")
  while (!isEnd()) {
    items.push(parseSingleTarget(tokens, withNamespace))
    if (!tokens.skip("operator", ",")) break
    isTuple = true
  }
  if (items.length === 0) tokens.fail(`expected a name, got ${tokens.describe()}`)
  return isTuple ? { type: "targets", items } : items[0]!
}

function parseSingleTarget(tokens: TokenStream, withNamespace: boolean): Target {
  if (tokens.skip("operator", "(")) {
    const target = tokens.nested(() => parseTarget(tokens, { withNamespace }))
    tokens.expect("operator", ")")
    return target
  }
  const { value: name } = tokens.expect("name")
  if (/^(?:[Tt]rue|[Ff]alse|[Nn]one)$/.test(name)) tokens.fail(`can't assign to '${name}'`)
  if (!withNamespace || !tokens.skip("operator", ".")) return { type: "name", name }
  return { type: "namespace", namespace: name, name: tokens.expect("name").value }
}

