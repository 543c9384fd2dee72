/** Python's protocols over values: truth, length, iteration, equality, order, membership. */
import { codePointLength, codePoints, isNarrow } from "./code-points.ts"
import { typeError } from "./errors.ts"
import type { Limits } from "./limits.ts"
import {
  Bytes, Dict, DictView, isText, Markup, Range, textOf, Tuple, typeName, Undefined, ValueIterator, type Value,
} from "./values.ts"

export function isTrue(value: Value): boolean {
  switch (typeof value) {
    case "boolean": return value
    case "string": return value !== ""
    case "bigint": return value !== 0n
    case "number": return value !== 0
  }
  if (value === null || value instanceof Undefined) return false
  if (Array.isArray(value)) return value.length > 0
  if (value instanceof Tuple) return value.items.length > 0
  if (value instanceof Dict) return value.size > 0
  if (value instanceof DictView) return value.dict.size > 0
  if (value instanceof Range) return value.length > 0
  return value instanceof Markup || value instanceof Bytes ? value.value.length > 0 : true
}

/** `len(value)`, or null for what has no length. */
export function lengthOrNull(value: Value, limits: Limits): number | null {
  if (isText(value)) {
    const text = textOf(value)
    limits.scan(text.length)
    return codePointLength(text)
  }
  if (Array.isArray(value)) return value.length
  if (value instanceof Tuple) return value.items.length
  if (value instanceof Dict) return value.size
  if (value instanceof DictView) return value.dict.size
  if (value instanceof Range) return value.length
  if (value instanceof Bytes) return value.value.length
  return value instanceof Undefined ? 0 : null
}

export function lengthOf(value: Value, limits: Limits): number {
  const length = lengthOrNull(value, limits)
  if (length === null) throw typeError(`object of type '${typeName(value)}' has no len()`)
  return length
}

export function isIterable(value: Value): boolean {
  return (
    isText(value) || Array.isArray(value) || value instanceof Tuple || value instanceof Dict ||
    value instanceof DictView || value instanceof Range || value instanceof ValueIterator ||
    value instanceof Bytes || value instanceof Undefined
  )
}

/** `iter(value)`. */
export function iterate(value: Value, limits: Limits): Iterator<Value> {
  if (Array.isArray(value)) return (value as Value[]).values()
  if (value instanceof ValueIterator) return value.iterator
  if (value instanceof Tuple) return value.items.values()
  if (value instanceof Dict) return value.keys()
  if (value instanceof DictView || value instanceof Range) return value.items()
  if (value instanceof Undefined) return ([] as Value[]).values()
  if (isText(value)) {
    const text = textOf(value)
    limits.entries(text.length)
    return (codePoints(text) as Value[]).values()
  }
  if (value instanceof Bytes) return [...value.value].map((byte): Value => BigInt(byte)).values()
  throw typeError(`'${typeName(value)}' object is not iterable`)
}

/** `list(value)`. */
export function listOf(value: Value, limits: Limits): readonly Value[] {
  if (Array.isArray(value)) return value as readonly Value[]
  const items: Value[] = []
  const iterator = iterate(value, limits)
  for (let next = iterator.next(); next.done !== true; next = iterator.next()) {
    items.push(next.value)
    limits.entryAdded(items.length)
    limits.step()
  }
  return items
}

/** A number, or a bool as one; null for all else. */
export function numberOrNull(value: Value): bigint | number | null {
  if (typeof value === "bigint" || typeof value === "number") return value
  return typeof value === "boolean" ? BigInt(value) : null
}

export function equals(a: Value, b: Value, limits: Limits): boolean {
  limits.enter()
  try {
    return equalValues(a, b, limits)
  } finally {
    limits.leave()
  }
}

function equalValues(a: Value, b: Value, limits: Limits): boolean {
  if (typeof a === "string" && typeof b === "string") {
    if (a.length !== b.length) return false
    limits.scan(a.length)
    return a === b
  }
  const [left, right] = [numberOrNull(a), numberOrNull(b)]
  // eslint-disable-next-line eqeqeq -- ints and floats of equal value are equal
  if (left !== null && right !== null) return left == right
  if (isText(a) && isText(b)) return textOf(a) === textOf(b)
  if (Array.isArray(a)) return Array.isArray(b) && equalLists(a as readonly Value[], b as readonly Value[], limits)
  if (a instanceof Tuple) return b instanceof Tuple && equalLists(a.items, b.items, limits)
  if (a instanceof Undefined) return b instanceof Undefined
  if (a instanceof Range) return b instanceof Range && equalLists([...a.items()], [...b.items()], limits)
  if (a instanceof Bytes) return b instanceof Bytes && Buffer.compare(a.value, b.value) === 0
  if (a instanceof Dict) return b instanceof Dict && equalDicts(a, b, limits)
  if (a instanceof DictView && b instanceof DictView && a.part !== "values" && a.part === b.part) {
    return a.part === "items" ? equalDicts(a.dict, b.dict, limits) : hasSameKeys(a.dict, b.dict)
  }
  return a === b
}

function equalLists(a: readonly Value[], b: readonly Value[], limits: Limits): boolean {
  return a.length === b.length && a.every((item, i) => item === b[i] || equals(item, b[i]!, limits))
}

function equalDicts(a: Dict, b: Dict, limits: Limits): boolean {
  if (a.size !== b.size) return false
  for (const [key, value] of a.entries()) {
    const other = b.get(key)
    if (other === undefined || !equals(value, other, limits)) return false
  }
  return true
}

function hasSameKeys(a: Dict, b: Dict): boolean {
  return a.size === b.size && [...a.keys()].every((key) => b.has(key))
}

/** Negative, zero or positive; NaN where floats are not ordered. Fails for types without an order. */
export function compare(a: Value, b: Value, operator: string, limits: Limits): number {
  limits.enter()
  try {
    if (a instanceof Undefined) a.fail()
    if (b instanceof Undefined) b.fail()
    const [left, right] = [numberOrNull(a), numberOrNull(b)]
    if (left !== null && right !== null) return left < right ? -1 : left > right ? 1 : left == right ? 0 : NaN
    if (isText(a) && isText(b)) return compareText(textOf(a), textOf(b), limits)
    if (Array.isArray(a) && Array.isArray(b)) return compareLists(a as Value[], b as Value[], operator, limits)
    if (a instanceof Tuple && b instanceof Tuple) return compareLists(a.items, b.items, operator, limits)
    throw typeError(
      `'${operator}' not supported between instances of '${typeName(a)}' and '${typeName(b)}'`,
    )
  } finally {
    limits.leave()
  }
}

function compareLists(a: readonly Value[], b: readonly Value[], operator: string, limits: Limits): number {
  for (let i = 0; i < a.length && i < b.length; i++) {
    if (!equals(a[i]!, b[i]!, limits)) return compare(a[i]!, b[i]!, operator, limits)
  }
  return a.length - b.length
}

function compareText(a: string, b: string, limits: Limits): number {
  limits.scan(Math.min(a.length, b.length))
  if (isNarrow(a) && isNarrow(b)) return a < b ? -1 : a > b ? 1 : 0
  const [left, right] = [Array.from(a), Array.from(b)]
  for (let i = 0; i < left.length && i < right.length; i++) {
    if (left[i] !== right[i]) return left[i]!.codePointAt(0)! - right[i]!.codePointAt(0)!
  }
  return left.length - right.length
}

/** Stable, by `<` alone, as Python's `sorted`. */
export function sorted<T>(items: readonly T[], keyOf: (item: T) => Value, reverse: boolean, limits: Limits): T[] {
  limits.entries(2 * items.length)
  const order = items.map((item) => ({ item, key: keyOf(item) }))
  // Python keeps equal items in their order in both directions.
  const sign = reverse ? -1 : 1
  // `||` makes the NaN of unordered floats a 0.
  return order.sort((a, b) => sign * compare(a.key, b.key, "<", limits) || 0).map(({ item }) => item)
}

/** `item in container`. */
export function contains(container: Value, item: Value, limits: Limits): boolean {
  if (isText(container)) {
    if (item instanceof Undefined || !isText(item)) {
      throw typeError(`'in <string>' requires string as left operand, not ${typeName(item)}`)
    }
    limits.scan(textOf(container).length)
    return textOf(container).includes(textOf(item))
  }
  if (container instanceof Dict) return container.has(item)
  if (container instanceof DictView && container.part === "keys") return container.dict.has(item)
  if (!isIterable(container)) throw typeError(`argument of type '${typeName(container)}' is not iterable`)
  const iterator = iterate(container, limits)
  for (let next = iterator.next(); next.done !== true; next = iterator.next()) {
    if (equals(next.value, item, limits)) return true
  }
  return false
}
