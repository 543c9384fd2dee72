/**
 * Values of templates, with Python's types. What JavaScript keeps apart stands for itself: a `bigint` is an int, a
 * `number` is a float, a `string` is a str, an array is a list, null is None. The rest are classes.
 *
 * Lists and dicts are never changed after they are made, as in Jinja's immutable sandbox; only namespaces are.
 */
import { TemplateFault, typeError } from "./errors.ts"

export type Value = null | boolean | bigint | number | string | readonly Value[] | PythonObject

/** What a call passes: `f(*positional, **named)`. */
export interface Arguments {
  readonly positional: readonly Value[]
  readonly named: ReadonlyMap<string, Value>
}

export const NO_ARGUMENTS: Arguments = { positional: [], named: new Map() }

export function positional(...values: Value[]): Arguments {
  return { positional: values, named: NO_ARGUMENTS.named }
}

export abstract class PythonObject {
  /** Python's name of the type. */
  abstract readonly typeName: string

  /** `repr()` of what is not made of other values. */
  text(): string {
    return `<${this.typeName} object>`
  }

  /** `object.name`, or undefined where there is no such attribute. */
  attribute(_name: string): Value | undefined {
    return undefined
  }
}

export class Tuple extends PythonObject {
  readonly typeName = "tuple"
  readonly items: readonly Value[]
  /** Attributes of a named tuple, in the order of the items. */
  readonly #names: readonly string[]

  constructor(items: readonly Value[], names: readonly string[] = []) {
    super()
    this.items = items
    this.#names = names
  }

  override attribute(name: string): Value | undefined {
    const i = this.#names.indexOf(name)
    return i < 0 ? undefined : this.items[i]
  }
}

/** A value that is not there: prints nothing, and fails where anything else is done with it. */
export class Undefined extends PythonObject {
  readonly typeName = "Undefined"
  readonly #message: string
  readonly #kind: "UndefinedError" | "SecurityError"

  constructor(message: string, kind: "UndefinedError" | "SecurityError" = "UndefinedError") {
    super()
    this.#message = message
    this.#kind = kind
  }

  override text(): string {
    return "Undefined"
  }

  fail(): never {
    throw new TemplateFault(this.#kind, this.#message)
  }
}

/** A str that counts as HTML: what is joined with it is escaped. */
export class Markup extends PythonObject {
  readonly typeName = "Markup"
  readonly value: string

  constructor(value: string) {
    super()
    this.value = value
  }
}

export class Bytes extends PythonObject {
  readonly typeName = "bytes"
  readonly value: Uint8Array

  constructor(value: Uint8Array) {
    super()
    this.value = value
  }

  override text(): string {
    const quote = this.value.includes(0x27) && !this.value.includes(0x22) ? '"' : "'"
    const chars = [...this.value].map((byte) => {
      if (byte === 0x5c || String.fromCharCode(byte) === quote) return `\\${String.fromCharCode(byte)}`
      if (byte === 0x0a || byte === 0x0d || byte === 0x09) return byte === 0x0a ? "\\n" : byte === 0x0d ? "\\r" : "\\t"
      return byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, "0")}`
    })
    return `b${quote}${chars.join("")}${quote}`
  }
}

type Key = string | bigint | number | null | object

/** Insertion-ordered, with Python's equality of keys: 1, 1.0 and True are the same key. */
export class Dict extends PythonObject {
  readonly typeName = "dict"
  readonly #entries = new Map<Key, readonly [key: Value, value: Value]>()

  constructor(entries: Iterable<readonly [Value, Value]> = []) {
    super()
    for (const [key, value] of entries) {
      const id = keyOf(key)
      // As in Python, a later value takes the place of the earlier key.
      this.#entries.set(id, [this.#entries.get(id)?.[0] ?? key, value])
    }
  }

  get size(): number {
    return this.#entries.size
  }

  get(key: Value): Value | undefined {
    return this.#entries.get(keyOf(key))?.[1]
  }

  has(key: Value): boolean {
    return this.#entries.has(keyOf(key))
  }

  entries(): IterableIterator<readonly [Value, Value]> {
    return this.#entries.values()
  }

  *keys(): IterableIterator<Value> {
    for (const [key] of this.#entries.values()) yield key
  }

  *values(): IterableIterator<Value> {
    for (const [, value] of this.#entries.values()) yield value
  }
}

/** What stands for a value among keys: equal for values that are equal in Python. Fails for what cannot be hashed. */
export function keyOf(value: Value): Key {
  if (typeof value === "string") return value.startsWith("\0") ? `\0s${value}` : value
  if (value === null || typeof value === "bigint") return value
  if (typeof value === "boolean") return value ? 1n : 0n
  if (typeof value === "number") return Number.isInteger(value) ? BigInt(value) : value
  if (value instanceof Markup) return keyOf(value.value)
  if (value instanceof Tuple) return `\0t${tupleKey(value, 0)}`
  if (value instanceof Undefined) return Undefined
  const isSet = value instanceof DictView && value.part !== "values"
  if (Array.isArray(value) || value instanceof Dict || isSet) throw typeError(`unhashable type: '${typeName(value)}'`)
  return value as PythonObject
}

/** UTF-16 units of a tuple as a key, with all tuples in it: a few of them can be written that would fill the memory. */
const MAX_TUPLE_KEY = 100_000

function tupleKey(tuple: Tuple, before: number): string {
  let text = ""
  for (const item of tuple.items) {
    const key = item instanceof Tuple ? `(${tupleKey(item, before + text.length)})` : keyOf(item)
    if (typeof key === "object" && key !== null) throw typeError("unhashable item of a tuple")
    const part = `${typeof key} ${String(key)}`
    text += `${part.length} ${part}`
    if (before + text.length > MAX_TUPLE_KEY) throw typeError("a tuple is too large for a key")
  }
  return text
}

export type DictPart = "keys" | "values" | "items"

/** `dict.keys()`, `dict.values()` or `dict.items()`. */
export class DictView extends PythonObject {
  readonly typeName: string
  readonly dict: Dict
  readonly part: DictPart

  constructor(dict: Dict, part: DictPart) {
    super()
    this.typeName = `dict_${part}`
    this.dict = dict
    this.part = part
  }

  *items(): IterableIterator<Value> {
    for (const [key, value] of this.dict.entries()) {
      yield this.part === "keys" ? key : this.part === "values" ? value : new Tuple([key, value])
    }
  }
}

export class Range extends PythonObject {
  readonly typeName = "range"
  readonly start: bigint
  readonly stop: bigint
  readonly stepSize: bigint
  readonly length: number

  constructor(start: bigint, stop: bigint, stepSize: bigint) {
    super()
    this.start = start
    this.stop = stop
    this.stepSize = stepSize
    const distance = stepSize > 0n ? stop - start : start - stop
    const step = stepSize > 0n ? stepSize : -stepSize
    this.length = distance <= 0n ? 0 : Number((distance + step - 1n) / step)
  }

  override text(): string {
    const { start, stop, stepSize } = this
    return stepSize === 1n ? `range(${start}, ${stop})` : `range(${start}, ${stop}, ${stepSize})`
  }

  at(index: number): bigint {
    return this.start + BigInt(index) * this.stepSize
  }

  *items(): IterableIterator<Value> {
    for (let i = 0; i < this.length; i++) yield this.at(i)
  }
}

/** A Python iterator: goes over its values once. */
export class ValueIterator extends PythonObject {
  readonly typeName: string
  readonly iterator: Iterator<Value>

  constructor(iterator: Iterator<Value>, typeName = "generator") {
    super()
    this.iterator = iterator
    this.typeName = typeName
  }
}

/** A function, a method or a macro. */
export class Callable extends PythonObject {
  readonly typeName: string = "function"
  readonly name: string
  readonly call: (args: Arguments) => Value

  constructor(name: string, call: (args: Arguments) => Value) {
    super()
    this.name = name
    this.call = call
  }

  override text(): string {
    return `<${this.typeName} ${this.name}>`
  }
}

/** A method of a built-in type. */
export class Method extends Callable {
  override readonly typeName = "builtin_function_or_method"
  readonly #owner: string

  constructor(name: string, owner: string, call: (args: Arguments) => Value) {
    super(name, call)
    this.#owner = owner
  }

  override text(): string {
    return `<built-in method ${this.name} of ${this.#owner} object>`
  }
}

/** What `{% set namespace.name = value %}` may change. */
export class Namespace extends PythonObject {
  readonly typeName = "Namespace"
  readonly #attributes = new Map<string, Value>()

  override attribute(name: string): Value | undefined {
    return this.#attributes.get(name)
  }

  entries(): IterableIterator<[name: string, value: Value]> {
    return this.#attributes.entries()
  }

  set(name: string, value: Value): void {
    if (name.startsWith("_")) {
      throw new TemplateFault("SecurityError", `a namespace cannot have an attribute that starts with "_": ${name}`)
    }
    this.#attributes.set(name, value)
  }
}

export function isText(value: Value): value is string | Markup {
  return typeof value === "string" || value instanceof Markup
}

/** The characters of a str. */
export function textOf(value: string | Markup): string {
  return typeof value === "string" ? value : value.value
}

/** Python's name of a value's type. */
export function typeName(value: Value): string {
  if (value === null) return "NoneType"
  switch (typeof value) {
    case "boolean": return "bool"
    case "bigint": return "int"
    case "number": return "float"
    case "string": return "str"
  }
  return value instanceof PythonObject ? value.typeName : "list"
}
