/** Python's arithmetic and the text of its numbers: `bigint` is int, `number` is float. */
import { strip } from "./code-points.ts"
import { TemplateFault, valueError } from "./errors.ts"
import { MAX_DIGITS, type Limits } from "./limits.ts"

export type Numeric = bigint | number

/** `repr` of a float: exponents have two digits, and begin at 1e16. */
export function floatText(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf"
  if (Object.is(value, -0)) return "-0.0"
  const magnitude = Math.abs(value)
  if (value !== 0 && (magnitude >= 1e16 || magnitude < 1e-4)) {
    return value.toExponential().replace(/e([+-])(\d)$/, "e$10$2")
  }
  return Number.isInteger(value) ? value.toFixed(1) : String(value)
}

/** `//`: rounds down. */
export function floorDivide(a: Numeric, b: Numeric): Numeric {
  refuseZero(b)
  if (typeof a === "bigint" && typeof b === "bigint") {
    const quotient = a / b
    return a % b !== 0n && a < 0n !== b < 0n ? quotient - 1n : quotient
  }
  const [dividend, divisor] = [toFloat(a), toFloat(b)]
  const rest = dividend % divisor
  // Exact but for one rounding, as what is divided is a multiple of the divisor.
  const quotient = (dividend - rest) / divisor - (rest !== 0 && rest < 0 !== divisor < 0 ? 1 : 0)
  const floor = Math.floor(quotient)
  return quotient - floor > 0.5 ? floor + 1 : floor
}

/** An int as a float operand. */
export function toFloat(value: Numeric): number {
  const float = Number(value)
  if (typeof value === "bigint" && !Number.isFinite(float)) {
    throw new TemplateFault("OverflowError", "int too large to convert to float")
  }
  return float
}

/** `%`: has the sign of the divisor. */
export function modulo(a: Numeric, b: Numeric): Numeric {
  refuseZero(b)
  if (typeof a === "bigint" && typeof b === "bigint") {
    const rest = a % b
    return rest !== 0n && rest < 0n !== b < 0n ? rest + b : rest
  }
  const divisor = toFloat(b)
  const rest = toFloat(a) % divisor
  if (rest === 0) return divisor < 0 ? -0 : 0
  return rest < 0 !== divisor < 0 ? rest + divisor : rest
}

/** `/`: of ints, the float nearest to the fraction. */
export function divide(a: Numeric, b: Numeric): number {
  refuseZero(b)
  const isExact = (value: Numeric) => typeof value === "number" || Number.isSafeInteger(Number(value))
  if (typeof a === "number" || typeof b === "number" || (isExact(a) && isExact(b))) return toFloat(a) / toFloat(b)
  const [dividend, divisor] = [a < 0n ? -a : a, b < 0n ? -b : b]
  // A quotient of more bits than a float has; its last bit also says whether anything is left.
  const shift = Math.max(0, QUOTIENT_BITS + bitLength(divisor) - bitLength(dividend))
  const scaled = dividend << BigInt(shift)
  const quotient = scaled / divisor | (scaled % divisor === 0n ? 0n : 1n)
  const magnitude = toFloat(quotient) / 2 ** Math.min(shift, 1000) / 2 ** Math.max(0, shift - 1000)
  return a < 0n !== b < 0n ? -magnitude : magnitude
}

const QUOTIENT_BITS = 66

function bitLength(value: bigint): number {
  return value.toString(2).length
}

export function power(a: Numeric, b: Numeric, limits: Limits): Numeric {
  if (typeof a === "bigint" && typeof b === "bigint" && b >= 0n) {
    if (a >= -1n && a <= 1n) return b === 0n ? 1n : b % 2n === 0n ? a * a : a
    limits.integerBits(BigInt(bitLength(a < 0n ? -a : a) - 1) * b)
    return limits.integer(a ** b)
  }
  const [base, exponent] = [toFloat(a), toFloat(b)]
  if (base === 0 && exponent < 0) {
    throw new TemplateFault("ZeroDivisionError", "0.0 cannot be raised to a negative power")
  }
  // Unlike in JavaScript, 1 to any power is 1.
  const result = base === 1 ? 1 : base ** exponent
  if (!Number.isFinite(result) && Number.isFinite(base) && Number.isFinite(exponent)) {
    throw Number.isNaN(result)
      ? valueError("complex numbers are not supported")
      : new TemplateFault("OverflowError", "Numerical result out of range")
  }
  return result
}

function refuseZero(divisor: Numeric): void {
  if (divisor === 0n || divisor === 0) throw new TemplateFault("ZeroDivisionError", "division by zero")
}

/** `int(float)`: cuts off the fraction. */
export function truncate(value: number): bigint {
  if (Number.isNaN(value)) throw valueError("cannot convert float NaN to integer")
  if (!Number.isFinite(value)) throw new TemplateFault("OverflowError", "cannot convert float infinity to integer")
  return BigInt(Math.trunc(value))
}

const DIGITS = "\\d+(?:_\\d+)*"
const FLOAT = new RegExp(`^([+-]?)(?:(${DIGITS})?(\\.(?:${DIGITS})?)?(e[+-]?${DIGITS})?|(inf|infinity)|(nan))$`, "i")

/** `float(text)`, or null. */
export function parseFloatText(text: string): number | null {
  const match = FLOAT.exec(strip(text, null, "both"))
  if (match === null) return null
  const [, sign, whole, fraction, exponent, infinite, nan] = match
  const factor = sign === "-" ? -1 : 1
  if (infinite !== undefined) return factor * Infinity
  if (nan !== undefined) return NaN
  if (whole === undefined && (fraction === undefined || fraction === ".")) return null
  return factor * Number(`${whole ?? "0"}${fraction ?? ""}${exponent ?? ""}`.replaceAll("_", ""))
}

const PREFIXES: Readonly<Record<string, number>> = { b: 2, o: 8, x: 16 }

/** `int(text, base)`, or null. */
export function parseIntText(text: string, base: number): bigint | null {
  const [, sign, unsigned] = /^([+-]?)(.*)$/s.exec(strip(text, null, "both"))!
  const prefixBase = PREFIXES[/^0([box])/i.exec(unsigned!)?.[1]?.toLowerCase() ?? ""]
  const isPrefixed = prefixBase !== undefined && (base === 0 || base === prefixBase)
  const radix = isPrefixed ? prefixBase : base === 0 ? 10 : base
  const written = isPrefixed ? unsigned!.slice(2).replace(/^_/, "") : unsigned!
  if (!/^[0-9a-z]+(?:_[0-9a-z]+)*$/i.test(written)) return null
  const digits = written.replaceAll("_", "")
  // In base 0, as in Python's source, a number does not begin with 0.
  if (base === 0 && !isPrefixed && /^0+[1-9]/.test(digits)) return null
  if (digits.length > MAX_DIGITS) throw valueError(`an integer of ${digits.length} digits; the limit is ${MAX_DIGITS}`)
  let value = 0n
  for (const digit of digits) {
    const number = parseInt(digit, 36)
    if (number >= radix) return null
    value = value * BigInt(radix) + BigInt(number)
  }
  return sign === "-" ? -value : value
}

/** `round(value, digits)`: half to even, of the float as it is stored. */
export function round(value: Numeric, digits: number): Numeric {
  if (typeof value === "bigint") {
    if (digits >= 0) return value
    if (digits < -4300) return 0n
    const unit = 10n ** BigInt(-digits)
    const below = floorDivide(value, unit) as bigint
    const twice = (value - below * unit) * 2n
    const up = twice > unit || (twice === unit && below % 2n !== 0n)
    return (up ? below + 1n : below) * unit
  }
  if (!Number.isFinite(value) || digits > 322) return value
  if (digits < -308) return value < 0 ? -0 : 0
  return Number(fixed(value, digits))
}

/** Decimal text with `digits` digits after the point (negative: rounded before it), exact, half to even. */
export function fixed(value: number, digits: number): string {
  const sign = value < 0 || Object.is(value, -0) ? "-" : ""
  const [numerator, denominator] = asRatio(Math.abs(value))
  const scaled = digits >= 0 ? numerator * 10n ** BigInt(digits) : numerator
  const divisor = digits >= 0 ? denominator : denominator * 10n ** BigInt(-digits)
  let units = scaled / divisor
  const twice = (scaled % divisor) * 2n
  if (twice > divisor || (twice === divisor && units % 2n === 1n)) units++
  if (digits <= 0) return sign + String(units * 10n ** BigInt(-digits))
  const text = String(units).padStart(digits + 1, "0")
  return `${sign}${text.slice(0, -digits)}.${text.slice(-digits)}`
}

/** A finite float as an exact fraction. */
function asRatio(value: number): [bigint, bigint] {
  const bits = new DataView(new ArrayBuffer(8))
  bits.setFloat64(0, value)
  const raw = bits.getBigUint64(0)
  const exponent = Number((raw >> 52n) & 0x7ffn)
  const fraction = raw & 0xfffffffffffffn
  const mantissa = exponent === 0 ? fraction : fraction | (1n << 52n)
  const shift = (exponent === 0 ? 1 : exponent) - 1075
  return shift >= 0 ? [mantissa << BigInt(shift), 1n] : [mantissa, 1n << BigInt(-shift)]
}
