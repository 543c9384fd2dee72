/** `format % values`, as Python's printf-style formatting. */
import { sliceCodePoints } from "./code-points.ts"
import { TemplateFault, typeError, valueError } from "./errors.ts"
import { formatFloat, pad, type FloatType } from "./format-spec.ts"
import type { Limits } from "./limits.ts"
import { truncate } from "./numbers.ts"
import { numberOrNull } from "./operators.ts"
import { replaceEach } from "./replace-each.ts"
import { escapeNonAscii, repr, str } from "./representation.ts"
import { Bytes, Dict, isText, Range, textOf, Tuple, typeName, Undefined, type Value } from "./values.ts"

const DIRECTIVE = /%(?:\(([^()]{0,1000})\))?([#0\- +]*)(\*|\d{1,10})?(?:\.(\*|\d{1,10})?)?[hlL]?(.)?/gsu

interface Field {
  readonly flags: string
  readonly width: number
  readonly precision: number | null
}

export function formatPercent(format: string, values: Value, limits: Limits): string {
  const given = values instanceof Tuple ? values.items : [values]
  let used = 0
  const next = (): Value => {
    if (used >= given.length) throw typeError("not enough arguments for format string")
    return given[used++]!
  }
  const count = (text: string): number => {
    const value = text === "*" ? next() : BigInt(text)
    if (typeof value !== "bigint") throw typeError("* wants int")
    return Number(value)
  }
  let byName = false
  const result = replaceEach(format, DIRECTIVE, limits, ([directive, name, flags, width, precision, type]) => {
    if (name !== undefined) byName = true
    const fieldWidth = width === undefined ? 0 : count(width)
    const hasPrecision = /\.(\*|\d*)[hlL]?.?$/su.test(directive)
    const field: Field = {
      flags: fieldWidth < 0 ? `${flags}-` : flags!,
      width: Math.abs(fieldWidth),
      precision: precision !== undefined ? count(precision) : hasPrecision ? 0 : null,
    }
    if (type === undefined) throw valueError("incomplete format")
    if (type === "%") {
      if (directive !== "%%") next()
      return "%"
    }
    return formatField(name === undefined ? next() : lookUp(values, name), type, field, limits)
  })
  // What has items may be there without being used, unless it is a tuple or a str.
  const isMapping = values instanceof Dict || Array.isArray(values) || values instanceof Range ||
    values instanceof Bytes || values instanceof Undefined
  if (used < given.length && !isMapping && !byName) {
    throw typeError("not all arguments converted during string formatting")
  }
  return result
}

function lookUp(values: Value, key: string): Value {
  if (!(values instanceof Dict)) throw typeError("format requires a mapping")
  const value = values.get(key)
  if (value === undefined) throw new TemplateFault("KeyError", `'${key}'`)
  return value
}

const RADIX: Readonly<Record<string, number>> = { d: 10, i: 10, u: 10, o: 8, x: 16, X: 16 }

function formatField(value: Value, type: string, field: Field, limits: Limits): string {
  const { flags, width, precision } = field
  const place = (text: string, isNumber: boolean): string => {
    const align = flags.includes("-") ? "<" : isNumber && flags.includes("0") ? "=" : ">"
    return pad(text, width, align, align === "=" ? "0" : " ", limits)
  }
  if (type === "s" || type === "r" || type === "a") {
    const text = type === "s" ? str(value, limits) : repr(value, limits)
    const shown = type === "a" ? escapeNonAscii(text, limits) : text
    return place(precision === null ? shown : sliceCodePoints(shown, 0, precision), false)
  }
  if (type === "c") return place(character(value), false)
  const sign = (isNegative: boolean) =>
    isNegative ? "-" : flags.includes("+") ? "+" : flags.includes(" ") ? " " : ""
  const radix = RADIX[type]
  if (value instanceof Undefined) value.fail()
  const number = numberOrNull(value)
  if (number === null || (radix !== undefined && radix !== 10 && typeof number !== "bigint")) {
    const wanted = radix === undefined || radix === 10 ? "a real number" : "an integer"
    if (radix === undefined) throw typeError(`must be real number, not ${typeName(value)}`)
    throw typeError(`%${type} format: ${wanted} is required, not ${typeName(value)}`)
  }
  if (radix !== undefined) {
    const integer = typeof number === "bigint" ? number : truncate(number)
    if (precision !== null) limits.text(precision)
    const digits = (integer < 0n ? -integer : integer).toString(radix).padStart(precision ?? 0, "0")
    const prefix = flags.includes("#") && radix !== 10 ? `0${type}` : ""
    return place(sign(integer < 0n) + prefix + (type === "X" ? digits.toUpperCase() : digits), true)
  }
  if (!/[eEfFgG]/.test(type)) throw valueError(`unsupported format character '${type}'`)
  const float = Number(number)
  const text = formatFloat(float, type.toLowerCase() as FloatType, precision ?? 6, flags.includes("#"))
  const isNegative = float < 0 || Object.is(float, -0)
  return place(sign(isNegative) + (/[EFG]/.test(type) ? text.toUpperCase() : text), true)
}

function character(value: Value): string {
  if (typeof value === "bigint" && value >= 0n && value <= 0x10ffffn) return String.fromCodePoint(Number(value))
  if (isText(value) && /^.$/su.test(textOf(value))) return textOf(value)
  throw typeError("%c requires int or char")
}
