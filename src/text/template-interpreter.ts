/**
 * The template interpreter with limits: a template comes with a model or a request, and must not hold up the server.
 *
 * Counts every node it evaluates and looks at every value it makes. A single built-in step can still be slow on a value
 * near the limits; what cannot happen is a loop, a recursion or a doubling string without end.
 */
import { Environment, Interpreter } from "@huggingface/jinja"
import { templateJson, type JsonStyle, type RuntimeValue } from "./template-json.ts"

/** A chat of 10,000 messages takes about 500,000 nodes; the limit is reached in about a second. */
const MAX_NODES = 5_000_000
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
  #nodes = 0

  override evaluate(statement: Node | undefined, environment: Environment): Evaluated {
    if (++this.#nodes > MAX_NODES) throw new TemplateError(`the template takes more than ${MAX_NODES} steps`)
    const value = statement === undefined ? null : this.#toJson(statement as unknown as NodeFields, environment)
    const result = value ?? super.evaluate(statement, environment)
    const { value: held } = result as { value: unknown }
    if (typeof held === "string" && held.length > MAX_TEXT) throw new TemplateError(`the template makes more than ${MAX_TEXT} characters`)
    if (Array.isArray(held) && held.length > MAX_ENTRIES) throw new TemplateError(`the template makes a list of more than ${MAX_ENTRIES} entries`)
    return result
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
