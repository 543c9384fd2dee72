/** `+ - * / // % **` and the signs, over all types that Python defines them for. */
import { escapeHtml } from "./html.ts"
import { typeError } from "./errors.ts"
import type { Limits } from "./limits.ts"
import { divide, floorDivide, modulo, power, toFloat, type Numeric } from "./numbers.ts"
import { numberOrNull } from "./operators.ts"
import { formatPercent } from "./percent-format.ts"
import { isText, Markup, textOf, Tuple, typeName, Undefined, type Value } from "./values.ts"

export type ArithmeticOperator = "+" | "-" | "*" | "/" | "//" | "%" | "**"

const ON_NUMBERS: Readonly<Record<ArithmeticOperator, (a: Numeric, b: Numeric, limits: Limits) => Numeric>> = {
  "+": (a, b, limits) => integerOr(a, b, (x, y) => limits.integer(x + y)) ?? toFloat(a) + toFloat(b),
  "-": (a, b, limits) => integerOr(a, b, (x, y) => limits.integer(x - y)) ?? toFloat(a) - toFloat(b),
  "*": (a, b, limits) => integerOr(a, b, (x, y) => limits.integer(x * y)) ?? toFloat(a) * toFloat(b),
  "/": divide,
  "//": floorDivide,
  "%": modulo,
  "**": power,
}

function integerOr(a: Numeric, b: Numeric, operate: (a: bigint, b: bigint) => bigint): bigint | null {
  return typeof a === "bigint" && typeof b === "bigint" ? operate(a, b) : null
}

export function calculate(operator: ArithmeticOperator, a: Value, b: Value, limits: Limits): Value {
  const [left, right] = [numberOrNull(a), numberOrNull(b)]
  if (left !== null && right !== null) return ON_NUMBERS[operator](left, right, limits)
  if (operator === "%" && isText(a)) {
    const text = formatPercent(textOf(a), b, limits)
    return a instanceof Markup ? new Markup(text) : text
  }
  if (a instanceof Undefined) a.fail()
  if (b instanceof Undefined) b.fail()
  const result = operator === "+" ? join(a, b, limits) : operator === "*" ? repeat(a, b, limits) : null
  if (result !== null) return result
  if (operator === "+" && (isText(a) || Array.isArray(a) || a instanceof Tuple)) {
    const type = typeName(a)
    throw typeError(`can only concatenate ${type} (not "${typeName(b)}") to ${type}`)
  }
  throw typeError(`unsupported operand type(s) for ${operator}: '${typeName(a)}' and '${typeName(b)}'`)
}

function join(a: Value, b: Value, limits: Limits): Value | null {
  if (isText(a) && isText(b)) {
    if (typeof a === "string" && typeof b === "string") return concatenate(a, b, limits)
    return new Markup(concatenate(escapeHtml(a, limits), escapeHtml(b, limits), limits))
  }
  if (Array.isArray(a) && Array.isArray(b)) {
    limits.entries(a.length + b.length)
    return [...(a as Value[]), ...(b as Value[])]
  }
  if (!(a instanceof Tuple && b instanceof Tuple)) return null
  limits.entries(a.items.length + b.items.length)
  return new Tuple([...a.items, ...b.items])
}

/** The engine keeps a concatenation as its two halves, so that only the shorter counts as work. */
export function concatenate(a: string, b: string, limits: Limits): string {
  limits.textGrown(a.length + b.length, Math.min(a.length, b.length))
  return a + b
}

function repeat(a: Value, b: Value, limits: Limits): Value | null {
  const [sequence, times] = typeof numberOrNull(a) === "bigint" ? [b, numberOrNull(a)] : [a, numberOrNull(b)]
  if (typeof times !== "bigint") return null
  const count = times <= 0n ? 0 : times > 2n ** 40n ? 2 ** 40 : Number(times)
  if (isText(sequence)) {
    const text = textOf(sequence)
    limits.text(text.length * count)
    const repeated = text === "" ? "" : text.repeat(count)
    return sequence instanceof Markup ? new Markup(repeated) : repeated
  }
  const items = sequence instanceof Tuple ? sequence.items : sequence
  if (!Array.isArray(items)) return null
  limits.entries(items.length * count)
  const repeated: Value[] = []
  if (items.length > 0) for (let i = 0; i < count; i++) repeated.push(...(items as Value[]))
  return sequence instanceof Tuple ? new Tuple(repeated) : repeated
}

export function negate(value: Value, sign: "+" | "-"): Value {
  const number = numberOrNull(value)
  if (value instanceof Undefined) value.fail()
  if (number === null) throw typeError(`bad operand type for unary ${sign}: '${typeName(value)}'`)
  return sign === "-" ? -number : number
}
