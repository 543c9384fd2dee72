/** Filters over lists and dicts. */
import { bind, integerArgument, textArgument } from "./arguments.ts"
import { calculate } from "./arithmetic.ts"
import { attributeOnly } from "./attributes.ts"
import { codePoints } from "./code-points.ts"
import { TemplateFault, typeError } from "./errors.ts"
import { itemGetter, itemsGetter, lowered } from "./item-getter.ts"
import type { Limits } from "./limits.ts"
import { compare, equals, isTrue, iterate, lengthOf, listOf, sorted } from "./operators.ts"
import { str } from "./representation.ts"
import type { Filter, Runtime } from "./runtime.ts"
import {
  Dict, DictView, isText, keyOf, Markup, Range, textOf, Tuple, typeName, Undefined, ValueIterator, type Arguments,
  type Value,
} from "./values.ts"

function flag(value: Value | undefined): boolean {
  return value !== undefined && isTrue(value)
}

const batch: Filter = (value, args, { limits }) => {
  const [count, fill] = bind("batch", args, ["linecount", "fill_with"], 1)
  const size = integerArgument("batch", count!)
  return new ValueIterator((function* (): Generator<Value> {
    let row: Value[] = []
    for (const item of items(value, limits)) {
      if (row.length === size) {
        yield row
        row = []
      }
      row.push(item)
    }
    if (row.length === 0) return
    if ((fill ?? null) !== null && row.length < size) {
      limits.entries(size)
      while (row.length < size) row.push(fill!)
    }
    yield row
  })())
}

const slice: Filter = (value, args, { limits }) => {
  const [slices, fill] = bind("slice", args, ["slices", "fill_with"], 1)
  const count = integerArgument("slice", slices!)
  return new ValueIterator((function* (): Generator<Value> {
    const all = listOf(value, limits)
    if (count === 0) throw new TemplateFault("ZeroDivisionError", "integer division or modulo by zero")
    const [size, longer] = [Math.floor(all.length / count), all.length % count]
    let at = 0
    for (let i = 0; i < count; i++) {
      limits.step()
      const end = at + size + (i < longer ? 1 : 0)
      yield (fill ?? null) !== null && i >= longer ? [...all.slice(at, end), fill!] : all.slice(at, end)
      at = end
    }
  })())
}

const dictSort: Filter = (value, args, { limits }) => {
  const [caseSensitive, by, reverse] = bind("dictsort", args, ["case_sensitive", "by", "reverse"])
  const part = by === undefined ? "key" : textArgument("dictsort", by)
  if (part !== "key" && part !== "value") {
    throw new TemplateFault("FilterArgumentError", 'You can only sort by either "key" or "value"')
  }
  const key = (entry: readonly [Value, Value]) => {
    const compared = entry[part === "key" ? 0 : 1]
    return flag(caseSensitive) ? compared : lowered(compared)
  }
  return sorted([...requireDict("dictsort", value).entries()], key, flag(reverse), limits)
    .map((entry) => new Tuple(entry))
}

function requireDict(callee: string, value: Value): Dict {
  if (value instanceof Undefined) value.fail()
  if (value instanceof Dict) return value
  throw typeError(`${callee} takes a dict, not ${typeName(value)}`)
}

const groupBy: Filter = (value, args, runtime) => {
  const [attribute, fallback, caseSensitive] = bind("groupby", args, ["attribute", "default", "case_sensitive"], 1)
  const compared = itemGetter(attribute, runtime, { fallback, ignoreCase: !flag(caseSensitive) })
  const shown = itemGetter(attribute, runtime, { fallback })
  const groups: { key: Value; members: Value[] }[] = []
  for (const item of sorted(listOf(value, runtime.limits), compared, false, runtime.limits)) {
    const key = compared(item)
    const last = groups.at(-1)
    if (last !== undefined && equals(last.key, key, runtime.limits)) last.members.push(item)
    else groups.push({ key, members: [item] })
  }
  return groups.map(({ members }) => new Tuple([shown(members[0]!), members], ["grouper", "list"]))
}

const extreme = (name: "min" | "max"): Filter => (value, args, runtime) => {
  const [caseSensitive, attribute] = bind(name, args, ["case_sensitive", "attribute"])
  const key = itemGetter(attribute, runtime, { ignoreCase: !flag(caseSensitive) })
  let best: Value | undefined
  for (const item of items(value, runtime.limits)) {
    if (best === undefined) best = item
    else if (name === "min" && compare(key(item), key(best), "<", runtime.limits) < 0) best = item
    else if (name === "max" && compare(key(item), key(best), ">", runtime.limits) > 0) best = item
  }
  return best ?? (best === null ? null : new Undefined("No aggregated item, sequence was empty."))
}

const sum: Filter = (value, args, runtime) => {
  const [attribute, start] = bind("sum", args, ["attribute", "start"])
  const get = itemGetter(attribute, runtime)
  let total: Value = start ?? 0n
  if (isText(total)) throw typeError("sum() can't sum strings [use ''.join(seq) instead]")
  for (const item of items(value, runtime.limits)) total = calculate("+", total, get(item), runtime.limits)
  return total
}

const sort: Filter = (value, args, runtime) => {
  const [reverse, caseSensitive, attribute] = bind("sort", args, ["reverse", "case_sensitive", "attribute"])
  const key = itemsGetter(attribute, runtime, { ignoreCase: !flag(caseSensitive) })
  return sorted(listOf(value, runtime.limits), key, flag(reverse), runtime.limits)
}

const unique: Filter = (value, args, runtime) => {
  const [caseSensitive, attribute] = bind("unique", args, ["case_sensitive", "attribute"])
  const key = itemGetter(attribute, runtime, { ignoreCase: !flag(caseSensitive) })
  return new ValueIterator((function* (): Generator<Value> {
    const seen = new Set<unknown>()
    for (const item of items(value, runtime.limits)) {
      const id = keyOf(key(item))
      if (!seen.has(id)) yield item
      seen.add(id)
    }
  })())
}

const map: Filter = (value, args, runtime) =>
  new ValueIterator((function* (): Generator<Value> {
    if (!isTrue(value)) return
    const apply = mapped(args, runtime)
    for (const item of items(value, runtime.limits)) yield apply(item)
  })())

function mapped(args: Arguments, runtime: Runtime): (item: Value) => Value {
  const [name, ...rest] = args.positional
  if (name === undefined && args.named.has("attribute")) {
    const [attribute, fallback] = bind("map", args, ["attribute", "default"])
    return itemGetter(attribute, runtime, { fallback })
  }
  if (name === undefined) throw new TemplateFault("FilterArgumentError", "map requires a filter argument")
  const filter = textArgument("map", name)
  return (item) => runtime.applyFilter(filter, item, { positional: rest, named: args.named })
}

const chosen = (ofAttribute: boolean, wanted: boolean): Filter => (value, args, runtime) =>
  new ValueIterator((function* (): Generator<Value> {
    if (!isTrue(value)) return
    const [attribute, ...others] = args.positional
    if (ofAttribute && attribute === undefined) {
      throw new TemplateFault("FilterArgumentError", "Missing parameter for attribute name")
    }
    const get = ofAttribute ? itemGetter(attribute, runtime) : (item: Value) => item
    const [test, ...rest] = ofAttribute ? others : args.positional
    const testName = test === undefined ? null : textArgument("select", test)
    const holds = (item: Value) => testName === null
      ? isTrue(item)
      : runtime.applyTest(testName, item, { positional: rest, named: args.named })
    for (const item of items(value, runtime.limits)) if (holds(get(item)) === wanted) yield item
  })())

const first: Filter = (value, args, { limits }) => {
  bind("first", args, [])
  const next = iterate(value, limits).next()
  return next.done === true ? new Undefined("No first item, sequence was empty.") : next.value
}

const last: Filter = (value, args, { limits }) => {
  bind("last", args, [])
  const all = reversible(value, limits)
  if (all === null) throw typeError(`'${typeName(value)}' object is not reversible`)
  return all.length === 0 ? new Undefined("No last item, sequence was empty.") : all.at(-1)!
}

/** The items of what Python's `reversed` takes; null for iterators. */
function reversible(value: Value, limits: Limits): readonly Value[] | null {
  const isOrdered = Array.isArray(value) || isText(value) || value instanceof Tuple || value instanceof Dict ||
    value instanceof DictView || value instanceof Range || value instanceof Undefined
  return isOrdered ? listOf(value, limits) : null
}

const reverse: Filter = (value, args, { limits }) => {
  bind("reverse", args, [])
  if (isText(value)) {
    limits.entries(textOf(value).length)
    const reversed = codePoints(textOf(value)).reverse().join("")
    return value instanceof Markup ? new Markup(reversed) : reversed
  }
  const all = reversible(value, limits)
  if (all === null) return listOf(value, limits).toReversed()
  return new ValueIterator(all.toReversed().values(), "reversed")
}

const joinItems: Filter = (value, args, runtime) => {
  const { limits } = runtime
  const [separator, attribute] = bind("join", args, ["d", "attribute"])
  const get = itemGetter(attribute, runtime)
  const between = separator === undefined ? "" : str(separator, limits)
  const parts: string[] = []
  let length = 0
  for (const item of items(value, limits)) {
    const part = str(get(item), limits)
    length += part.length + (parts.length > 0 ? between.length : 0)
    if (length > limits.maxText) limits.text(length)
    parts.push(part)
  }
  limits.text(length)
  return parts.join(between)
}

/** The items of an iterable, each a step. */
function* items(value: Value, limits: Limits): Generator<Value> {
  const iterator = iterate(value, limits)
  for (let next = iterator.next(); next.done !== true; next = iterator.next()) {
    limits.step()
    yield next.value
  }
}

export const SEQUENCE_FILTERS: readonly [string, Filter][] = [
  ["attr", (value, args, runtime) => {
    const [name] = bind("attr", args, ["name"], 1)
    return attributeOnly(value, textArgument("attr", name!), runtime)
  }],
  ["batch", batch],
  ["dictsort", dictSort],
  ["first", first],
  ["groupby", groupBy],
  ["items", (value, args, { limits }) => {
    bind("items", args, [])
    if (value instanceof Undefined) return new ValueIterator([].values())
    if (!(value instanceof Dict)) throw typeError("Can only get item pairs from a mapping.")
    limits.step()
    return new ValueIterator(new DictView(value, "items").items())
  }],
  ["join", joinItems],
  ["last", last],
  ["length", (value, _, { limits }) => BigInt(lengthOf(value, limits))],
  ["count", (value, _, { limits }) => BigInt(lengthOf(value, limits))],
  ["list", (value, _, { limits }) => listOf(value, limits)],
  ["map", map],
  ["max", extreme("max")],
  ["min", extreme("min")],
  ["random", (value, _, { limits }) => {
    const all = listOf(value, limits)
    if (all.length === 0) return new Undefined("No random item, sequence was empty.")
    return all[Math.floor(Math.random() * all.length)]!
  }],
  ["reject", chosen(false, false)],
  ["rejectattr", chosen(true, false)],
  ["reverse", reverse],
  ["select", chosen(false, true)],
  ["selectattr", chosen(true, true)],
  ["slice", slice],
  ["sort", sort],
  ["sum", sum],
  ["unique", unique],
]

