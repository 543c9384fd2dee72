/** Numbers and strings in the fields of `%` and `str.format`: precision, sign, alignment, grouping. */
import { codePointLength, codePoints, sliceCodePoints } from "./code-points.ts"
import { typeError, valueError } from "./errors.ts"
import type { Limits } from "./limits.ts"
import { fixed, floatText } from "./numbers.ts"
import { numberOrNull } from "./operators.ts"
import { str } from "./representation.ts"
import { isText, textOf, typeName, type Value } from "./values.ts"

export type FloatType = "e" | "f" | "g"

/** More digits than a float has anywhere. */
const MAX_PRECISION = 2000

/**
 * A float without its sign. `keepZeros` is the flag "#". `isShown` is for formats without a type: as "g", but always
 * with a digit behind the point.
 */
export function formatFloat(
  value: number, type: FloatType, precision: number, keepZeros: boolean, isShown = false,
): string {
  const magnitude = Math.abs(value)
  if (!Number.isFinite(magnitude)) return floatText(magnitude)
  if (precision > MAX_PRECISION) throw valueError(`a precision of ${precision} digits; the limit is ${MAX_PRECISION}`)
  if (type === "f") return fixed(magnitude, precision) + (keepZeros && precision === 0 ? "." : "")
  if (type === "e") return scientific(magnitude, precision, keepZeros)
  const significant = precision === 0 ? 1 : precision
  const exponent = Number(scientific(magnitude, significant - 1, false).split("e")[1])
  const isSmall = exponent >= -4 && exponent < (isShown ? significant - 1 : significant)
  const text = isSmall
    ? formatFloat(magnitude, "f", significant - 1 - exponent, keepZeros)
    : scientific(magnitude, significant - 1, keepZeros)
  return keepZeros ? text : text.replace(/(\.\d*?)0+(?=e|$)/, "$1").replace(/\.(?=e|$)/, "")
}

function scientific(value: number, precision: number, keepPoint: boolean): string {
  let exponent = value === 0 ? 0 : Number(value.toExponential().split("e")[1])
  const digitsAt = (power: number) => fixed(value, precision - power).replace(".", "").replace(/^0+(?=\d)/, "")
  // Rounding may carry into one more digit.
  if (digitsAt(exponent).length > Math.max(precision, exponent) + 1) exponent++
  // Where it was rounded before the point, zeros follow the digits that count.
  const digits = digitsAt(exponent).slice(0, precision + 1).padEnd(precision + 1, "0")
  const mantissa = precision > 0 ? `${digits[0]}.${digits.slice(1)}` : digits[0]! + (keepPoint ? "." : "")
  return `${mantissa}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`
}

/** `text` in a field of `width` code points; "=" pads behind the sign. */
export function pad(text: string, width: number, align: string, fill: string, limits: Limits): string {
  const missing = width - codePointLength(text)
  if (missing <= 0) return text
  limits.text(text.length + missing * fill.length)
  if (align === "<") return text + fill.repeat(missing)
  if (align === "^") return fill.repeat(missing >> 1) + text + fill.repeat(missing - (missing >> 1))
  const sign = align === "=" ? (/^[+\- ]?(?:0[xXbo])?/.exec(text)?.[0] ?? "") : ""
  return sign + fill.repeat(missing) + text.slice(sign.length)
}

interface Spec {
  readonly fill: string
  readonly align: string
  readonly sign: string
  readonly alternate: boolean
  readonly width: number
  readonly grouping: string
  readonly precision: number | null
  readonly type: string
}

const SPEC = /^(?:(.)?([<>=^]))?([+\- ])?(#)?(0)?(\d{1,10})?([_,])?(?:\.(\d{1,10}))?([a-zA-Z%])?$/su

/** `format(value, spec)`. */
export function formatValue(value: Value, specText: string, limits: Limits): string {
  const number = numberOrNull(value)
  if (specText === "") return str(value, limits)
  const match = SPEC.exec(specText)
  if (match === null) throw valueError(`Invalid format specifier '${specText}'`)
  const [, fill, align, sign, alternate, zero, width, grouping, precision, type] = match
  const spec: Spec = {
    fill: fill ?? (zero === undefined ? " " : "0"),
    align: align ?? (zero !== undefined && number !== null ? "=" : number !== null ? ">" : "<"),
    sign: sign ?? "-",
    alternate: alternate !== undefined,
    width: Number(width ?? 0),
    grouping: grouping ?? "",
    precision: precision === undefined ? null : Number(precision),
    type: type ?? "",
  }
  const text = number === null || (typeof value === "boolean" && spec.type === "s")
    ? formatText(value, spec)
    : formatNumber(number, spec)
  return pad(text, spec.width, spec.align, spec.fill, limits)
}

function formatText(value: Value, { type, precision, align }: Spec): string {
  if (!isText(value)) throw typeError(`unsupported format string passed to ${typeName(value)}.__format__`)
  if (type !== "" && type !== "s") throw valueError(`Unknown format code '${type}' for object of type 'str'`)
  if (align === "=") throw valueError("'=' alignment not allowed in string format specifier")
  const text = textOf(value)
  return precision === null ? text : sliceCodePoints(text, 0, precision)
}

const RADIX: Readonly<Record<string, number>> = { b: 2, o: 8, x: 16, X: 16 }

function formatNumber(value: bigint | number, spec: Spec): string {
  const { type, precision } = spec
  const isNegative = value < 0 || Object.is(value, -0)
  const sign = isNegative ? "-" : spec.sign === "-" ? "" : spec.sign
  if (typeof value === "bigint" && (type === "" || /[bcdnoxX]/.test(type))) {
    if (precision !== null) throw valueError("Precision not allowed in integer format specifier")
    if (spec.grouping === "," && RADIX[type] !== undefined) throw valueError(`Cannot specify ',' with '${type}'.`)
    if (type === "c") return String.fromCodePoint(Number(value))
    const digits = (isNegative ? -value : value).toString(RADIX[type] ?? 10)
    const prefix = spec.alternate && RADIX[type] !== undefined ? `0${type}` : ""
    const grouped = group(digits, spec, RADIX[type] === undefined ? 3 : 4, sign.length + prefix.length)
    return sign + prefix + (type === "X" ? grouped.toUpperCase() : grouped)
  }
  const lower = type.toLowerCase()
  if (lower === "n" && spec.grouping !== "") throw valueError(`Cannot specify '${spec.grouping}' with 'n'.`)
  const float = Number(value)
  let text: string
  if (lower === "%") text = `${formatFloat(float * 100, "f", precision ?? 6, spec.alternate)}%`
  else if (lower === "e" || lower === "f" || lower === "g" || lower === "n") {
    text = formatFloat(float, lower === "n" ? "g" : lower, precision ?? 6, spec.alternate)
  } else if (type === "" && precision === null) text = floatText(Math.abs(float))
  else if (type === "") {
    text = formatFloat(float, "g", precision!, spec.alternate, true)
    if (/^\d+$/.test(text)) text += ".0"
  } else throw valueError(`Unknown format code '${type}' for object of type '${typeName(value)}'`)
  const [whole, rest] = [/^\d+/.exec(text)?.[0] ?? "", text.replace(/^\d+/, "")]
  const grouped = group(whole, spec, 3, sign.length + rest.length)
  return sign + grouped + (/[EFG]/.test(type) ? rest.toUpperCase() : rest)
}

/** Digits in groups. Zeros that fill a field are grouped too; `others` is what else is in the field. */
function group(text: string, { grouping: separator, fill, align, width }: Spec, size: number, others: number): string {
  if (separator === "") return text
  const room = fill === "0" && align === "=" ? width - others : 0
  const fewest = Math.min(Math.ceil((room * size) / (size + 1)), MAX_PRECISION)
  const digits = text.padStart(fewest + (fewest % size === 0 && room % (size + 1) === 0 && room > 0 ? 1 : 0), "0")
  const first = digits.length % size
  const groups = first === 0 ? [] : [digits.slice(0, first)]
  for (let at = first; at < digits.length; at += size) groups.push(digits.slice(at, at + size))
  return groups.join(separator)
}

/** `text.center(width, fill)`: where one is left over, Python decides by the widths. */
export function center(text: string, width: number, fill: string, limits: Limits): string {
  const missing = width - codePointLength(text)
  if (missing <= 0) return text
  limits.text(text.length + missing * fill.length)
  const left = (missing >> 1) + (missing & width & 1)
  return fill.repeat(left) + text + fill.repeat(missing - left)
}

/** One code point, as fills have to be. */
export function oneCharacter(fill: string): string {
  if (codePoints(fill).length !== 1) throw typeError("The fill character must be exactly one character long")
  return fill
}
