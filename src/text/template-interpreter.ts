/**
 * The template interpreter with limits: a template comes with a model or a request, and must not hold up the server.
 *
 * Counts every node it evaluates and looks at every value it makes. A single built-in step can still be slow on a value
 * near the limits; what cannot happen is a loop, a recursion or a doubling string without end.
 */
import { Environment, Interpreter } from "@huggingface/jinja"
import { pythonText } from "./python-text.ts"
import { templateJson, type JsonStyle, type RuntimeValue } from "./template-json.ts"

/** Nodes evaluated, and loop turns at 16 each. A chat of 10,000 messages takes about 500,000. */
const MAX_STEPS = 4_000_000
/** For steps that are slow in themselves. Looked at every 256 steps. */
const MAX_MILLISECONDS = 1000
/** Nodes within nodes: macros that call themselves stop here, before the stack ends. */
const MAX_DEPTH = 2000
/** UTF-16 units of one string, and entries of one list. */
const MAX_TEXT = 32 * 1024 * 1024
const MAX_ENTRIES = 1_000_000
/** Characters that a line is indented by. */
const MAX_INDENT = 1000

/** The template did what it may not, or asked for an error itself: the message is for the client. */
export class TemplateError extends Error {
  override readonly name = "TemplateError"
}

type Evaluated = ReturnType<Interpreter["evaluate"]>
type Node = NonNullable<Parameters<Interpreter["evaluate"]>[0]>

/** A node's fields, which the library types by class and does not export. */
export type NodeFields = { readonly type: string } & Readonly<Record<string, unknown>>

export class LimitedInterpreter extends Interpreter {
  readonly #deadline = performance.now() + MAX_MILLISECONDS
  /** What loops go over, as far as loops have been met. */
  readonly #iterables = new Set<unknown>()
  /** Expressions that are printed where they stand. */
  readonly #printed: ReadonlySet<unknown>
  #steps = 0
  #depth = 0

  constructor(environment: Environment, printed: ReadonlySet<unknown>) {
    super(environment)
    this.#printed = printed
  }

  override evaluate(statement: Node | undefined, environment: Environment): Evaluated {
    this.#step(1)
    const node = statement as unknown as NodeFields | undefined
    if (node?.type === "For") this.#iterables.add((node["iterable"] as NodeFields)["lhs"] ?? node["iterable"])
    if (this.#depth >= MAX_DEPTH) throw new TemplateError(`the template nests deeper than ${MAX_DEPTH} levels`)
    const result = this.#evaluateDeeper(statement, environment)
    const { value } = result as { value: unknown }
    if (typeof value === "string" && value.length > MAX_TEXT)
      throw new TemplateError(`the template makes more than ${MAX_TEXT} characters`)
    const length = Array.isArray(value) ? value.length : value instanceof Map ? value.size : 0
    if (length > MAX_ENTRIES) throw new TemplateError(`the template makes a list of more than ${MAX_ENTRIES} entries`)
    // The library makes a scope for every entry before the loop's first turn, so they count before it too.
    if (this.#iterables.has(node)) this.#step(16 * length)
    return result
  }

  #evaluateDeeper(statement: Node | undefined, environment: Environment): Evaluated {
    this.#depth++
    try {
      const node = statement as unknown as NodeFields | undefined
      const own = node === undefined ? null : this.#evaluateAsPython(node, environment)
      const result = own ?? super.evaluate(statement, environment)
      return this.#printed.has(statement) && !isText(result) ? stringValue(pythonText(result as RuntimeValue)) : result
    } finally {
      // `continue` and `break` come through here as exceptions.
      this.#depth--
    }
  }

  #step(count: number): void {
    const before = this.#steps
    this.#steps += count
    if (this.#steps > MAX_STEPS) throw new TemplateError(`the template takes more than ${MAX_STEPS} steps`)
    if (before >> 8 === this.#steps >> 8 || performance.now() < this.#deadline) return
    throw new TemplateError(`the template takes more than ${MAX_MILLISECONDS} ms`)
  }

  /** What the library does in JavaScript's way, or not at all: `tojson`, `string`, `~`. Null for all else. */
  #evaluateAsPython(node: NodeFields, environment: Environment): Evaluated | null {
    const valueOf = (operand: unknown): RuntimeValue => this.evaluate(operand as Node, environment) as RuntimeValue
    if (node.type === "BinaryExpression" && (node["operator"] as NodeFields)["value"] === "~") {
      return stringValue(pythonText(valueOf(node["left"])) + pythonText(valueOf(node["right"])))
    }
    if (node.type !== "FilterExpression") return null
    const filter = node["filter"] as NodeFields
    const callee = filter.type === "CallExpression" ? (filter["callee"] as NodeFields) : filter
    if (callee["value"] === "string") return stringValue(pythonText(valueOf(node["operand"])))
    if (callee["value"] === "indent" && filter.type === "CallExpression") this.#checkIndent(filter, environment)
    if (callee["value"] !== "tojson") return null
    const style = this.#jsonStyle(filter.type === "CallExpression" ? (filter["args"] as NodeFields[]) : [], environment)
    return stringValue(templateJson(valueOf(node["operand"]), style))
  }

  /** The library makes the indent before anybody can look at it. */
  #checkIndent(filter: NodeFields, environment: Environment): void {
    for (const arg of filter["args"] as NodeFields[]) {
      const node = arg.type === "KeywordArgumentExpression" ? arg["value"] : arg
      const { value } = this.evaluate(node as Node, environment) as RuntimeValue
      if (typeof value !== "number" || value <= MAX_INDENT) continue
      throw new TemplateError(`indent() by ${value} characters; the limit is ${MAX_INDENT}`)
    }
  }

  #jsonStyle(args: readonly NodeFields[], environment: Environment): JsonStyle {
    // The order of transformers' own filter.
    const names = ["ensure_ascii", "indent", "separators", "sort_keys"]
    const given = new Map<string, unknown>()
    args.forEach((arg, i) => {
      const isKeyword = arg.type === "KeywordArgumentExpression"
      const name = isKeyword ? String((arg["key"] as NodeFields)["value"]) : (names[i] ?? "")
      if (!names.includes(name)) throw new TemplateError(`tojson() has no argument ${JSON.stringify(name)}`)
      given.set(name, (this.evaluate((isKeyword ? arg["value"] : arg) as Node, environment) as RuntimeValue).value)
    })
    const indent = given.get("indent")
    const separators = given.get("separators") as RuntimeValue[] | null | undefined
    return {
      ensureAscii: given.get("ensure_ascii") === true,
      indent: typeof indent === "number" || typeof indent === "string" ? indent : null,
      separators: Array.isArray(separators) && separators.length === 2
        ? [String(separators[0]!.value), String(separators[1]!.value)]
        : null,
      sortKeys: given.get("sort_keys") === true,
    }
  }
}

const STATEMENTS = new Set([
  "Set", "If", "For", "Macro", "CallStatement", "FilterStatement", "Break", "Continue", "Comment",
])

/** The expressions of a template that stand where text stands. */
export function printedExpressions(program: NodeFields): Set<unknown> {
  const printed = new Set<unknown>()
  for (const node of walkNodes(program)) {
    for (const block of ["body", "alternate", "defaultBlock"]) {
      const statements = node[block]
      if (!Array.isArray(statements)) continue
      for (const statement of statements as NodeFields[]) if (!STATEMENTS.has(statement.type)) printed.add(statement)
    }
  }
  return printed
}

/** `value` and all nodes below it. */
export function* walkNodes(value: unknown): Generator<NodeFields> {
  if (Array.isArray(value)) for (const item of value) yield* walkNodes(item)
  else if (value instanceof Map) for (const entry of value) yield* walkNodes(entry)
  else if (typeof value === "object" && value !== null && "type" in value) {
    yield value as NodeFields
    for (const field of Object.values(value)) if (typeof field === "object") yield* walkNodes(field)
  }
}

function isText(value: Evaluated): boolean {
  return typeof (value as RuntimeValue).value === "string"
}

/** A string of the interpreter's own class, which it does not export. */
function stringValue(text: string): Evaluated {
  const environment = new Environment()
  return environment.set("text", text)
}
