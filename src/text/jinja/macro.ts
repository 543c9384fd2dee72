/** Macros: functions whose result is the text of their body. */
import { typeError } from "./errors.ts"
import { Scope } from "./scope.ts"
import { walk, type MacroDefinition, type Statement } from "./syntax.ts"
import { Callable, Dict, Tuple, Undefined, type Arguments, type Value } from "./values.ts"

interface BodyRenderer {
  render(statements: readonly Statement[], scope: Scope): string
  evaluate(expression: NonNullable<MacroDefinition["parameters"][number]["fallback"]>, scope: Scope): Value
}

class Macro extends Callable {
  override readonly typeName = "Macro"
  readonly #attributes: ReadonlyMap<string, Value>

  constructor(name: string, attributes: ReadonlyMap<string, Value>, call: (args: Arguments) => Value) {
    super(name, call)
    this.#attributes = attributes
  }

  override attribute(name: string): Value | undefined {
    return this.#attributes.get(name)
  }
}

/** What a macro gets beside its parameters if its body names it. */
const EXTRAS = ["caller", "kwargs", "varargs"]

/** A macro, which sees the variables of the scope that it is defined in, as they are when it is called. */
export function createMacro(definition: MacroDefinition, scope: Scope, renderer: BodyRenderer): Callable {
  const { name, parameters, body } = definition
  const used = new Set<string>()
  for (const node of walk([body, parameters])) if (node.type === "name") used.add(node.name)
  const takes = (extra: string) => used.has(extra) && !parameters.some((parameter) => parameter.name === extra)
  const [takesCaller, takesNamed, takesMore] = EXTRAS.map(takes)
  const attributes = new Map<string, Value>([
    ["name", name],
    ["arguments", new Tuple(parameters.map((parameter) => parameter.name))],
    ["caller", takesCaller!],
    ["catch_kwargs", takesNamed!],
    ["catch_varargs", takesMore!],
  ])
  return new Macro(name, attributes, (args) => {
    const inner = new Scope(scope)
    const named = new Map(args.named)
    if (args.positional.length > parameters.length && !takesMore) {
      throw typeError(`macro '${name}' takes not more than ${parameters.length} argument(s)`)
    }
    const given = parameters.map((parameter, i) => {
      const value = args.positional[i] ?? (i < args.positional.length ? null : named.get(parameter.name))
      if (i >= args.positional.length) named.delete(parameter.name)
      return value
    })
    if (takesCaller) {
      inner.set("caller", named.get("caller") ?? new Undefined("No caller defined"))
      named.delete("caller")
    }
    const [unknown] = named.keys()
    if (unknown !== undefined && !takesNamed) throw typeError(`macro '${name}' takes no keyword argument '${unknown}'`)
    inner.set("kwargs", new Dict(named))
    inner.set("varargs", new Tuple(args.positional.slice(parameters.length)))
    // In their order: the value of a parameter that is not given may use those before it.
    parameters.forEach((parameter, i) => {
      const value = given[i]
      if (value !== undefined) inner.set(parameter.name, value)
      else if (parameter.fallback !== null) inner.set(parameter.name, renderer.evaluate(parameter.fallback, inner))
      else inner.set(parameter.name, new Undefined(`parameter '${parameter.name}' was not provided`))
    })
    return renderer.render(body, inner)
  })
}
