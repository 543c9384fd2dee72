/** `object.name`, `object[key]` and `object[start:stop:step]`, with the rules of Jinja's immutable sandbox. */
import { codePointLength, codePoints, sliceCodePoints } from "./code-points.ts"
import {
  BYTES_METHODS, DICT_METHODS, LIST_METHODS, numberAttribute, TUPLE_METHODS, type Methods,
} from "./container-methods.ts"
import { TemplateFault, typeError, valueError } from "./errors.ts"
import type { Limits } from "./limits.ts"
import { lengthOf, numberOrNull } from "./operators.ts"
import { repr } from "./representation.ts"
import type { Runtime } from "./runtime.ts"
import { stringMethod } from "./string-methods.ts"
import {
  Bytes, Dict, isText, Markup, Method, PythonObject, Range, textOf, Tuple, typeName, Undefined, type Value,
} from "./values.ts"

/** What every Python object has and a template may not touch. */
const INTERNAL = new RegExp(
  "^__(class|delattr|dict|dir|doc|eq|format|ge|getattribute|getstate|gt|hash|init|init_subclass|le|len|lt|module|ne|" +
    "new|reduce|reduce_ex|repr|setattr|sizeof|str|subclasshook)__$",
)
/** What changes an object in place. */
const CHANGES_LIST = new Set(["append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove"])
const CHANGES_DICT = new Set(["clear", "pop", "popitem", "setdefault", "update"])

/** `object.name`: attributes first, then keys. */
export function attributeOf(object: Value, name: string, runtime: Runtime): Value {
  const value = ownAttribute(object, name, runtime)
  if (value !== undefined) return value
  const item = object instanceof Dict ? object.get(name) : undefined
  return item ?? (item === null ? null : missing(object, name, runtime.limits))
}

/** `object[key]`: keys first, then attributes. */
export function itemOf(object: Value, key: Value, runtime: Runtime): Value {
  const item = element(object, key, runtime.limits)
  if (item !== undefined) return item
  const value = isText(key) ? ownAttribute(object, textOf(key), runtime) : undefined
  return value !== undefined ? value : missing(object, key, runtime.limits)
}

/** `object|attr(name)`: attributes alone. */
export function attributeOnly(object: Value, name: string, runtime: Runtime): Value {
  const value = ownAttribute(object, name, runtime)
  return value !== undefined ? value : missing(object, name, runtime.limits)
}

function missing(object: Value, key: Value, limits: Limits): Undefined {
  const owner = object === null ? "None" : `${typeName(object)} object`
  return new Undefined(
    typeof key === "string" ? `'${owner}' has no attribute '${key}'` : `${owner} has no element ${repr(key, limits)}`,
  )
}

function ownAttribute(object: Value, name: string, runtime: Runtime): Value | undefined {
  if (INTERNAL.test(name) || changesInPlace(object, name)) {
    const message = `access to attribute '${name}' of '${typeName(object)}' object is unsafe.`
    return new Undefined(message, "SecurityError")
  }
  if (object instanceof Undefined) object.fail()
  if (isText(object)) return stringMethod(object, name, runtime)
  if (object instanceof Dict) return bound(DICT_METHODS, object, name, runtime)
  if (Array.isArray(object)) return bound(LIST_METHODS, object as readonly Value[], name, runtime)
  if (object instanceof Tuple) return object.attribute(name) ?? bound(TUPLE_METHODS, object.items, name, runtime)
  if (object instanceof Bytes) return bound(BYTES_METHODS, object, name, runtime)
  if (object instanceof Range) return bound(TUPLE_METHODS, [...object.items()], name, runtime)
  if (object instanceof PythonObject) return object.attribute(name)
  const number = numberOrNull(object)
  return number === null ? undefined : numberAttribute(number, name)
}

function changesInPlace(object: Value, name: string): boolean {
  return (Array.isArray(object) && CHANGES_LIST.has(name)) || (object instanceof Dict && CHANGES_DICT.has(name))
}

function bound<T extends Value>(methods: Methods<T>, self: T, name: string, runtime: Runtime): Method | undefined {
  const method = methods.get(name)
  return method && new Method(name, typeName(self), (args) => method(self, args, runtime))
}

/** `object[key]`, or undefined where Python raises TypeError or LookupError. */
function element(object: Value, key: Value, limits: Limits): Value | undefined {
  if (object instanceof Undefined) object.fail()
  if (object instanceof Dict) {
    try {
      return object.get(key)
    } catch (error) {
      if (error instanceof TemplateFault && error.kind === "TypeError") return undefined
      throw error
    }
  }
  const index = numberOrNull(key)
  if (typeof index !== "bigint" || !isSequence(object)) return undefined
  const length = lengthOf(object, limits)
  const at = Number(index < 0n ? index + BigInt(length) : index)
  if (at < 0 || at >= length) return undefined
  if (isText(object)) {
    const char = sliceCodePoints(textOf(object), at, at + 1)
    return object instanceof Markup ? new Markup(char) : char
  }
  if (object instanceof Range) return object.at(at)
  if (object instanceof Bytes) return BigInt(object.value[at]!)
  return (object instanceof Tuple ? object.items : object)[at]
}

type Sequence = string | Markup | readonly Value[] | Tuple | Range | Bytes

function isSequence(object: Value): object is Sequence {
  return isText(object) || Array.isArray(object) || object instanceof Tuple || object instanceof Range ||
    object instanceof Bytes
}

/** `object[start:stop:step]`; fails for what cannot be sliced. */
export function slice(object: Value, parts: readonly [Value, Value, Value], limits: Limits): Value {
  if (object instanceof Undefined) object.fail()
  if (object instanceof Dict) throw typeError("unhashable type: 'slice'")
  if (!isSequence(object)) throw typeError(`'${typeName(object)}' object is not subscriptable`)
  const [start, stop, step] = bounds(parts, lengthOf(object, limits))
  if (object instanceof Range) {
    return new Range(object.at(start), object.at(stop), object.stepSize * BigInt(step))
  }
  if (isText(object)) {
    const text = step === 1
      ? sliceCodePoints(textOf(object), start, Math.max(start, stop))
      : pick(charactersOf(textOf(object), limits), start, stop, step).join("")
    return object instanceof Markup ? new Markup(text) : text
  }
  if (object instanceof Bytes) return new Bytes(Uint8Array.from(pick([...object.value], start, stop, step)))
  const items = object instanceof Tuple ? object.items : object
  limits.entries(Math.max(0, Math.ceil((stop - start) / step)))
  const picked = step === 1 ? items.slice(start, Math.max(start, stop)) : pick(items, start, stop, step)
  return object instanceof Tuple ? new Tuple(picked) : picked
}

/** `slice.indices(length)`. */
function bounds(parts: readonly [Value, Value, Value], length: number): [number, number, number] {
  const [start, stop, step] = parts.map((part) => {
    const number = part === null ? null : numberOrNull(part)
    if (part !== null && typeof number !== "bigint") {
      throw typeError("slice indices must be integers or None or have an __index__ method")
    }
    return number as bigint | null
  })
  if (step === 0n) throw valueError("slice step cannot be zero")
  const stride = clamp(step ?? 1n, -(length + 1), length + 1)
  const [lowest, highest] = stride > 0 ? [0, length] : [-1, length - 1]
  const place = (index: bigint | null, ifNone: number) =>
    index === null ? ifNone : clamp(index < 0n ? index + BigInt(length) : index, lowest, highest)
  return stride > 0
    ? [place(start!, 0), place(stop!, length), stride]
    : [place(start!, length - 1), place(stop!, -1), stride]
}

function clamp(value: bigint, low: number, high: number): number {
  return value < BigInt(low) ? low : value > BigInt(high) ? high : Number(value)
}

function charactersOf(text: string, limits: Limits): string[] {
  limits.entries(codePointLength(text))
  return codePoints(text)
}

function pick<T>(items: readonly T[], start: number, stop: number, step: number): T[] {
  const picked: T[] = []
  for (let i = start; step > 0 ? i < stop : i > stop; i += step) picked.push(items[i]!)
  return picked
}
