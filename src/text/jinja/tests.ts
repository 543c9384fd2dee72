/** The tests of `value is test`. */
import { bind } from "./arguments.ts"
import { calculate } from "./arithmetic.ts"
import { isLower, isUpper } from "./code-points.ts"
import { compare, contains, equals, isIterable, lengthOrNull, numberOrNull } from "./operators.ts"
import { str } from "./representation.ts"
import type { Test } from "./runtime.ts"
import { Callable, Dict, DictView, isText, Markup, Undefined, ValueIterator, type Value } from "./values.ts"

const OTHER = ["other"]

const ordered = (name: string, holds: (order: number) => boolean): Test => (value, args, { limits }) =>
  holds(compare(value, bind(name, args, OTHER, 1)[0]!, name, limits))

const [less, lessOrEqual] = [ordered("<", (order) => order < 0), ordered("<=", (order) => order <= 0)]
const [greater, greaterOrEqual] = [ordered(">", (order) => order > 0), ordered(">=", (order) => order >= 0)]

const equal: Test = (value, args, { limits }) => equals(value, bind("eq", args, OTHER, 1)[0]!, limits)
const unequal: Test = (value, args, runtime) => !equal(value, args, runtime)

const remainder = (divisor: bigint, wanted: bigint): Test => (value, _, { limits }) =>
  equals(calculate("%", value, divisor, limits), wanted, limits)

/** Of a value without arguments. */
const of = (holds: (value: Value) => boolean): Test => holds

const caseOf = (isCase: (text: string) => boolean): Test => (value, _, { limits }) => {
  const text = str(value, limits)
  limits.text(text.length)
  return isCase(text)
}

export const TESTS: ReadonlyMap<string, Test> = new Map<string, Test>([
  ["boolean", of((value) => typeof value === "boolean")],
  // Undefined can be called in Python, though it fails.
  ["callable", of((value) => value instanceof Callable || value instanceof Undefined)],
  ["defined", of((value) => !(value instanceof Undefined))],
  ["undefined", of((value) => value instanceof Undefined)],
  ["divisibleby", (value, args, { limits }) => {
    return equals(calculate("%", value, bind("divisibleby", args, ["num"], 1)[0]!, limits), 0n, limits)
  }],
  ["eq", equal],
  ["==", equal],
  ["equalto", equal],
  ["escaped", of((value) => value instanceof Markup)],
  ["even", remainder(2n, 0n)],
  ["odd", remainder(2n, 1n)],
  ["false", of((value) => value === false)],
  ["true", of((value) => value === true)],
  ["float", of((value) => typeof value === "number")],
  ["integer", of((value) => typeof value === "bigint")],
  ["number", of((value) => numberOrNull(value) !== null)],
  ["ge", greaterOrEqual],
  [">=", greaterOrEqual],
  ["gt", greater],
  [">", greater],
  ["greaterthan", greater],
  ["le", lessOrEqual],
  ["<=", lessOrEqual],
  ["lt", less],
  ["<", less],
  ["lessthan", less],
  ["ne", unequal],
  ["!=", unequal],
  ["in", (value, args, { limits }) => contains(bind("in", args, ["seq"], 1)[0]!, value, limits)],
  ["iterable", of(isIterable)],
  ["lower", caseOf(isLower)],
  ["upper", caseOf(isUpper)],
  ["mapping", of((value) => value instanceof Dict)],
  ["none", of((value) => value === null)],
  ["sameas", (value, args) => value === bind("sameas", args, OTHER, 1)[0]],
  ["sequence", (value, _, { limits }) => {
    return !(value instanceof DictView || value instanceof ValueIterator) && lengthOrNull(value, limits) !== null
  }],
  ["string", of(isText)],
])

