/**
 * The template interpreter with limits: a template comes with a model or a request, and must not hold up the server.
 *
 * Counts every node it evaluates and looks at every value it makes. A single built-in step can still be slow on a value
 * near the limits; what cannot happen is a loop, a recursion or a doubling string without end.
 */
import { Environment, Interpreter } from "@huggingface/jinja"
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
  #steps = 0
  #depth = 0

  override evaluate(statement: Node | undefined, environment: Environment): Evaluated {
    this.#step(1)
    const node = statement as unknown as NodeFields | undefined
    if (node?.type === "For") this.#iterables.add((node["iterable"] as NodeFields)["lhs"] ?? node["iterable"])
    const json = node === undefined ? null : this.#toJson(node, environment)
    if (this.#depth >= MAX_DEPTH) throw new TemplateError(`the template nests deeper than ${MAX_DEPTH} levels`)
    this.#depth++
    const result = json ?? super.evaluate(statement, environment)
    this.#depth--
    const { value } = result as { value: unknown }
    if (typeof value === "string" && value.length > MAX_TEXT)
      throw new TemplateError(`the template makes more than ${MAX_TEXT} characters`)
    const length = Array.isArray(value) ? value.length : value instanceof Map ? value.size : 0
    if (length > MAX_ENTRIES) throw new TemplateError(`the template makes a list of more than ${MAX_ENTRIES} entries`)
    // The library makes a scope for every entry before the loop's first turn, so they count before it too.
    if (this.#iterables.has(node)) this.#step(16 * length)
    return result
  }

  #step(count: number): void {
    const before = this.#steps
    this.#steps += count
    if (this.#steps > MAX_STEPS) throw new TemplateError(`the template takes more than ${MAX_STEPS} steps`)
    if (before >> 8 === this.#steps >> 8 || performance.now() < this.#deadline) return
    throw new TemplateError(`the template takes more than ${MAX_MILLISECONDS} ms`)
  }

  /** `x | tojson(...)`, which the library knows without positional arguments and in another key order. */
  #toJson(node: NodeFields, environment: Environment): Evaluated | null {
    if (node.type !== "FilterExpression") return null
    const filter = node["filter"] as NodeFields
    const callee = filter.type === "CallExpression" ? (filter["callee"] as NodeFields) : filter
    if (callee.type !== "Identifier" || callee["value"] !== "tojson") return null
    const args = filter.type === "CallExpression" ? (filter["args"] as NodeFields[]) : []
    const style = this.#jsonStyle(args, environment)
    const operand = this.evaluate(node["operand"] as Node, environment) as RuntimeValue
    return stringValue(templateJson(operand, style))
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

/** A string of the interpreter's own class, which it does not export. */
function stringValue(text: string): Evaluated {
  const environment = new Environment()
  return environment.set("text", text)
}
