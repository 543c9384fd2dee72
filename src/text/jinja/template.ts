/** A template: parsed once, rendered with values that come from JSON. */
import { TemplateLimit } from "./errors.ts"
import { globals } from "./globals.ts"
import { Interpreter } from "./interpreter.ts"
import { Limits } from "./limits.ts"
import { parseTemplate } from "./parser.ts"
import { Scope } from "./scope.ts"
import type { Statement } from "./syntax.ts"
import { Dict, type Value } from "./values.ts"

export class Template {
  readonly statements: readonly Statement[]

  /** Errors: `TemplateSyntaxError`. */
  constructor(source: string) {
    this.statements = parseTemplate(source)
  }

  /** Errors: `TemplateError`, `TemplateFault`. `now` is what the template takes for the time. */
  render(variables: Readonly<Record<string, unknown>>, now: Date): string {
    const interpreter = new Interpreter(new Limits())
    const values = new Map<string, Value>()
    for (const [name, value] of Object.entries(variables)) {
      if (value !== undefined) values.set(name, fromJson(value, interpreter.limits))
    }
    const scope = new Scope(new Scope(null, globals(interpreter, now)), values)
    try {
      return interpreter.run(this.statements, scope)
    } catch (error) {
      // The engine's own stack, which templates may not fill: the limits are meant to stop them before.
      if (error instanceof RangeError) throw new TemplateLimit("the template nests too deep")
      throw error
    }
  }
}

/**
 * A value of JSON as Python reads it. A number is an int where it is whole; a `bigint` is one too, and what
 * `JSON.rawJSON` made of a number is what its text says, so that 1.0 stays a float and long ids keep their digits.
 */
export function fromJson(value: unknown, limits: Limits): Value {
  limits.step()
  if (value === null || value === undefined) return null
  switch (typeof value) {
    case "string":
    case "boolean":
    case "bigint":
      return value
    case "number": return Number.isInteger(value) ? BigInt(value) : value
    case "object": break
    default: return String(value)
  }
  if (Array.isArray(value)) return value.map((item: unknown) => fromJson(item, limits))
  if (isRawJson(value)) return fromNumberText(value.rawJSON)
  const entries: [string, Value][] = []
  for (const [key, entry] of Object.entries(value)) {
    if (entry !== undefined) entries.push([key, fromJson(entry, limits)])
  }
  return new Dict(entries)
}

function isRawJson(value: object): value is { rawJSON: string } {
  return (JSON as unknown as { isRawJSON(value: unknown): boolean }).isRawJSON(value)
}

function fromNumberText(text: string): Value {
  if (/^-?\d+$/.test(text)) return BigInt(text)
  return JSON.parse(text) as Value
}
