/** Methods of dicts, lists, tuples, bytes and numbers: those that Jinja's sandbox lets be called. */
import { bind, bindPositional, integerArgument, textArgument } from "./arguments.ts"
import { typeError, valueError } from "./errors.ts"
import type { Numeric } from "./numbers.ts"
import { equals, listOf } from "./operators.ts"
import { repr } from "./representation.ts"
import type { Runtime } from "./runtime.ts"
import { Bytes, Callable, Dict, DictView, Tuple, type Arguments, type DictPart, type Value } from "./values.ts"

export type Methods<T> = ReadonlyMap<string, (self: T, args: Arguments, runtime: Runtime) => Value>

const view = (part: DictPart) => (dict: Dict, args: Arguments) => {
  bindPositional(part, args, 0, 0)
  return new DictView(dict, part)
}

export const DICT_METHODS: Methods<Dict> = new Map([
  ["keys", view("keys")],
  ["values", view("values")],
  ["items", view("items")],
  ["get", (dict: Dict, args: Arguments): Value => {
    const [key, fallback] = bindPositional("get", args, 1, 2)
    return dict.get(key!) ?? fallback ?? null
  }],
  ["copy", (dict: Dict): Value => dict],
  ["fromkeys", (_: Dict, args: Arguments, runtime: Runtime): Value => dictFromKeys(args, runtime)],
])

/** `dict.fromkeys(keys, value)`. */
export function dictFromKeys(args: Arguments, { limits }: Runtime): Dict {
  const [keys, value] = bindPositional("fromkeys", args, 1, 2)
  return new Dict(listOf(keys!, limits).map((key) => [key, value ?? null]))
}

const SEQUENCE_METHODS: [string, (items: readonly Value[], args: Arguments, runtime: Runtime) => Value][] = [
  ["count", (items, args, { limits }) => {
    const [wanted] = bindPositional("count", args, 1, 1)
    return BigInt(items.filter((item) => equals(item, wanted!, limits)).length)
  }],
  ["index", (items, args, { limits }) => {
    const [wanted, start, stop] = bindPositional("index", args, 1, 3)
    const place = (value: Value | undefined, ifNone: number) => {
      const index = value === undefined ? ifNone : integerArgument("index", value)
      return index < 0 ? Math.max(0, index + items.length) : index
    }
    const [from, end] = [place(start, 0), place(stop, items.length)]
    const found = items.findIndex((item, i) => i >= from && i < end && equals(item, wanted!, limits))
    if (found < 0) throw valueError(`${repr(wanted!, limits)} is not in list`)
    return BigInt(found)
  }],
]

export const TUPLE_METHODS: Methods<readonly Value[]> = new Map(SEQUENCE_METHODS)
export const LIST_METHODS: Methods<readonly Value[]> = new Map([...SEQUENCE_METHODS, ["copy", (items) => items]])

export const BYTES_METHODS: Methods<Bytes> = new Map([
  ["decode", (bytes: Bytes, args: Arguments): Value => {
    const [encoding] = bind("decode", args, ["encoding", "errors"])
    requireUtf8("decode", encoding)
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes.value)
    } catch {
      throw valueError("the bytes are not valid UTF-8")
    }
  }],
  ["hex", (bytes: Bytes): Value => Buffer.from(bytes.value).toString("hex")],
])

/** The one encoding there is, under its usual names. */
export function requireUtf8(callee: string, encoding: Value | undefined): void {
  const name = encoding === undefined ? "utf-8" : textArgument(callee, encoding)
  if (!/^utf[-_]?8$/i.test(name)) throw typeError(`${callee}(): the encoding '${name}' is not supported, only utf-8`)
}

/** Attributes and methods of ints, bools and floats. */
export function numberAttribute(value: Numeric, name: string): Value | undefined {
  const method = (call: () => Value) => new Callable(name, call)
  if (name === "real") return value
  if (name === "conjugate") return method(() => value)
  if (typeof value === "number") {
    if (name === "imag") return 0
    return name === "is_integer" ? method(() => Number.isInteger(value)) : undefined
  }
  const bits = (value < 0n ? -value : value).toString(2)
  switch (name) {
    case "imag": return 0n
    case "numerator": return value
    case "denominator": return 1n
    case "bit_length": return method(() => BigInt(value === 0n ? 0 : bits.length))
    case "bit_count": return method(() => BigInt(bits.replaceAll("0", "").length))
    case "as_integer_ratio": return method(() => new Tuple([value, 1n]))
    default: return undefined
  }
}
