/** Functions that every chat template may call. */
import { MAX_STRFTIME_GROWTH, strftime } from "../strftime.ts"
import { bind, bindPositional, textArgument } from "./arguments.ts"
import { dictFromKeys } from "./container-methods.ts"
import { TemplateError, TemplateFault, typeError, valueError } from "./errors.ts"
import { listOf, numberOrNull } from "./operators.ts"
import { str } from "./representation.ts"
import type { Runtime } from "./runtime.ts"
import {
  Callable, Dict, isText, Namespace, PythonObject, Range, textOf, typeName, Undefined, type Arguments, type Value,
} from "./values.ts"

/** Jinja's own limit in its sandbox. */
const MAX_RANGE = 100_000

export function globals(runtime: Runtime, now: Date): Map<string, Value> {
  const functions: [string, (args: Arguments) => Value][] = [
    ["range", range],
    ["namespace", (args) => namespace(args, runtime)],
    ["cycler", (args) => new Cycler(args)],
    ["joiner", (args) => joiner(args)],
    ["raise_exception", (args) => {
      throw new TemplateError(str(bind("raise_exception", args, ["message"], 1)[0]!, runtime.limits))
    }],
    ["lipsum", () => {
      throw new TemplateError("lipsum() is not supported")
    }],
    ["strftime_now", (args) => {
      const format = textArgument("strftime", bind("strftime_now", args, ["format"], 1)[0]!)
      runtime.limits.text(format.length * MAX_STRFTIME_GROWTH)
      return strftime(now, format)
    }],
  ]
  return new Map<string, Value>([
    ...functions.map(([name, call]): [string, Value] => [name, new Callable(name, call)]),
    ["dict", new DictType(runtime)],
  ])
}

function range(args: Arguments): Range {
  const bounds = bindPositional("range", args, 1, 3).map((value) => {
    const number = numberOrNull(value)
    if (value instanceof Undefined) value.fail()
    if (typeof number !== "bigint") throw typeError(`'${typeName(value)}' object cannot be interpreted as an integer`)
    return number
  })
  const [start, stop, step] = bounds.length === 1 ? [0n, bounds[0]!, 1n] : [bounds[0]!, bounds[1]!, bounds[2] ?? 1n]
  if (step === 0n) throw valueError("range() arg 3 must not be zero")
  const result = new Range(start, stop, step)
  if (result.length > MAX_RANGE) {
    throw new TemplateFault("OverflowError", `range() of ${result.length} numbers; the limit is ${MAX_RANGE}`)
  }
  return result
}

/** `dict(...)`, which also has `fromkeys`. */
class DictType extends Callable {
  override readonly typeName = "type"
  readonly #runtime: Runtime

  constructor(runtime: Runtime) {
    super("dict", (args) => new Dict(entriesOf("dict", args, runtime)))
    this.#runtime = runtime
  }

  override attribute(name: string): Value | undefined {
    return name === "fromkeys" ? new Callable(name, (args) => dictFromKeys(args, this.#runtime)) : undefined
  }
}

function entriesOf(callee: string, { positional, named }: Arguments, { limits }: Runtime): [Value, Value][] {
  if (positional.length > 1) throw typeError(`${callee} expected at most 1 argument, got ${positional.length}`)
  const [first = new Dict()] = positional
  if (first instanceof Undefined) first.fail()
  const entries = first instanceof Dict
    ? [...first.entries()]
    : listOf(first, limits).map((pair) => listOf(pair, limits))
  return [...entries, ...named].map((pair): [Value, Value] => {
    if (pair.length !== 2) throw valueError(`${callee}(): an entry has length ${pair.length}; 2 is required`)
    return [pair[0]!, pair[1]!]
  })
}

function namespace(args: Arguments, runtime: Runtime): Namespace {
  const result = new Namespace()
  for (const [name, value] of entriesOf("namespace", args, runtime)) {
    result.set(isText(name) ? textOf(name) : str(name, runtime.limits), value)
  }
  return result
}

/** Goes round its values with every `next()`. */
class Cycler extends PythonObject {
  readonly typeName = "Cycler"
  readonly #values: readonly Value[]
  #at = 0

  constructor({ positional }: Arguments) {
    super()
    if (positional.length === 0) throw new TemplateFault("TemplateRuntimeError", "at least one item has to be provided")
    this.#values = positional
  }

  override attribute(name: string): Value | undefined {
    const current = this.#values[this.#at]!
    if (name === "current") return current
    if (name !== "next" && name !== "reset") return undefined
    return new Callable(name, () => {
      const value = this.#values[this.#at]!
      this.#at = name === "reset" ? 0 : (this.#at + 1) % this.#values.length
      return name === "reset" ? null : value
    })
  }
}

/** Gives nothing at its first call and a separator at all others. */
function joiner(args: Arguments): Callable {
  const [separator] = bind("joiner", args, ["sep"])
  let isUsed = false
  return new Callable("joiner", () => {
    const text = isUsed ? (separator ?? ", ") : ""
    isUsed = true
    return text
  })
}

