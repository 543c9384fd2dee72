/**
 * Languages of JSON numbers without an exponent, by their value: 1.50 is 1.5, -0 is 0. Exact: no bound is rounded, and
 * numbers may have as many digits as they like.
 */
import { DEAD, Interner, type Automaton } from "./automaton.ts"

const ZERO = 48
const DOT = 46
const MINUS = 45
const CUTS: ReadonlySet<number> = new Set([MINUS, DOT, DOT + 1, ...Array.from({ length: 11 }, (_, i) => ZERO + i)])

export interface Decimal {
  readonly isNegative: boolean
  /** Digits before the point, without leading zeros: "" is 0. */
  readonly whole: string
  /** Digits after it, without trailing zeros. */
  readonly fraction: string
}

/** `value` as JavaScript writes it: the shortest decimal that is read as the same number. */
export function decimalOf(value: number): Decimal {
  const [, sign, whole, fraction = "", exponent = "0"] = /^(-?)(\d+)(?:\.(\d+))?(?:e([+-]\d+))?$/.exec(String(value))!
  const shift = Number(exponent)
  const digits = whole! + fraction
  const point = whole!.length + shift
  const padded = point > digits.length ? digits.padEnd(point, "0") : "0".repeat(Math.max(0, -point)) + digits
  const at = Math.max(0, point)
  return {
    isNegative: sign === "-" && value !== 0,
    whole: padded.slice(0, at).replace(/^0+/, ""),
    fraction: padded.slice(at).replace(/0+$/, ""),
  }
}

/** What has been read of a number. `T` is what has been found out on the way. */
type Phase = "start" | "minus" | "zero" | "whole" | "dot" | "fraction"
interface Reading<T> {
  readonly phase: Phase
  readonly isNegative: boolean
  readonly found: T
}

interface Reader<T> {
  readonly start: T
  /** A digit before the point; the first of several is not 0. */
  whole(found: T, digit: number): T
  /** The point. */
  point(found: T): T
  fraction(found: T, digit: number): T | null
  accepts(found: T, isNegative: boolean): boolean
}

const NUMBER_ENDS: readonly Phase[] = ["zero", "whole", "fraction"]

function numbers<T>(reader: Reader<T>): Automaton {
  const states = new Interner<Reading<T>>()
  const idOf = (reading: Reading<T>) => states.id(JSON.stringify(reading), reading)
  const digitAfter = ({ phase, isNegative, found }: Reading<T>, digit: number): number => {
    if (phase === "zero") return DEAD
    if (phase === "dot" || phase === "fraction") {
      const next = reader.fraction(found, digit)
      return next === null ? DEAD : idOf({ phase: "fraction", isNegative, found: next })
    }
    const isZero = digit === 0 && phase !== "whole"
    return idOf({ phase: isZero ? "zero" : "whole", isNegative, found: isZero ? found : reader.whole(found, digit) })
  }
  return {
    start: idOf({ phase: "start", isNegative: false, found: reader.start }),
    next: (id, code) => {
      const reading = states.values[id]!
      const { phase, found } = reading
      if (code === MINUS) return phase === "start" ? idOf({ phase: "minus", isNegative: true, found }) : DEAD
      if (code >= ZERO && code <= ZERO + 9) return digitAfter(reading, code - ZERO)
      if (code !== DOT || (phase !== "zero" && phase !== "whole")) return DEAD
      return idOf({ ...reading, phase: "dot", found: reader.point(found) })
    },
    accepts: (id) => {
      const { phase, isNegative, found } = states.values[id]!
      return NUMBER_ENDS.includes(phase) && reader.accepts(found, isNegative)
    },
    cuts: CUTS,
  }
}

/** All of them. */
export function anyDecimal(): Automaton {
  return numbers<0>({ start: 0, whole: () => 0, point: () => 0, fraction: () => 0, accepts: () => true })
}

/** Whole numbers, however they are written: 3.0 is one. */
export function wholeNumbers(): Automaton {
  const fraction = (_: 0, digit: number) => (digit === 0 ? 0 : null)
  const automaton = numbers<0>({ start: 0, whole: () => 0, point: () => 0, fraction, accepts: () => true })
  return { ...automaton, tellsWholeNumbers: true }
}

/** Numbers that are written without a point, and 0 without a sign. */
export function plainWholeNumbers(): Automaton {
  return numbers<number>({
    start: 0, whole: () => 1, point: (found) => found, fraction: () => null,
    accepts: (found, isNegative) => found === 1 || !isNegative,
  })
}

/** Numbers that are written in the shortest way: no zero ends a fraction. */
export function shortestSpellings(): Automaton {
  return numbers<{ isZero: boolean; last: number }>({
    start: { isZero: true, last: 1 },
    whole: () => ({ isZero: false, last: 1 }),
    point: ({ isZero }) => ({ isZero, last: 0 }),
    fraction: ({ isZero }, digit) => ({ isZero: isZero && digit === 0, last: Math.min(digit, 1) }),
    accepts: ({ isZero, last }, isNegative) => last !== 0 && !(isZero && isNegative),
  })
}

/** Numbers with at most `max` digits on each side of the point. */
export function digitsUpTo(max: number): Automaton {
  const count = (found: number | null) => (found === null || found >= max ? null : found + 1)
  return numbers<number | null>({
    start: 0, whole: count, point: (found) => (found === null ? null : 0), fraction: count,
    accepts: (found) => found !== null,
  })
}

interface Comparison {
  /** Digits of the whole part so far, counted to one more than the bound has. */
  readonly count: number
  /** Digits of the fraction that have been compared. */
  readonly at: number
  /** The digits so far beside the bound's: -1 less, 0 equal, 1 greater. */
  readonly order: -1 | 0 | 1
  readonly isZero: boolean
}

/** Numbers that compare with `bound` as `isWanted` says: it is asked with -1, 0 and 1 for less, equal and greater. */
export function compared(bound: number, isWanted: (order: -1 | 0 | 1) => boolean): Automaton {
  const { isNegative: isBoundNegative, whole, fraction } = decimalOf(bound)
  const isBoundZero = whole === "" && fraction === ""
  const compareDigit = (digit: number, other: string | undefined) =>
    Math.sign(digit - Number(other ?? "0")) as -1 | 0 | 1
  const atPoint = (found: Comparison): Comparison => {
    const order = found.count === whole.length ? found.order : found.count < whole.length ? -1 : 1
    return { ...found, count: whole.length, order }
  }
  return numbers<Comparison>({
    start: { count: 0, at: 0, order: 0, isZero: true },
    whole: ({ count, at, order }, digit) => ({
      count: Math.min(count + 1, whole.length + 1), at, isZero: false,
      order: count < whole.length && order === 0 ? compareDigit(digit, whole[count]) : count < whole.length ? order : 0,
    }),
    point: atPoint,
    fraction: ({ count, at, order, isZero }, digit) => ({
      count, isZero: isZero && digit === 0,
      at: order === 0 ? Math.min(at + 1, fraction.length) : 0,
      order: order === 0 ? compareDigit(digit, fraction[at]) : order,
    }),
    accepts: (found, isNegative) => {
      const { order, at, isZero } = atPoint(found)
      const size = order === 0 && at < fraction.length ? -1 : order
      if (isZero) return isWanted(isBoundZero ? 0 : isBoundNegative ? 1 : -1)
      if (isNegative !== isBoundNegative && !isBoundZero) return isWanted(isNegative ? -1 : 1)
      return isWanted((isNegative ? -size : size) as -1 | 0 | 1)
    },
  })
}

/** Multiples of `divisor`, or null where that takes more than `maxStates` states. */
export function multiplesOf(divisor: number, maxStates: number): Automaton | null {
  const { whole, fraction } = decimalOf(divisor)
  const places = fraction.length
  const modulus = Number(whole + fraction)
  if (modulus * (places + 2) > maxStates) return null
  const step = (remainder: number, digit: number) => (remainder * 10 + digit) % modulus
  const automaton = numbers<{ remainder: number; places: number }>({
    start: { remainder: 0, places: 0 },
    whole: (found, digit) => ({ ...found, remainder: step(found.remainder, digit) }),
    point: (found) => found,
    fraction: (found, digit) => {
      if (found.places === places) return digit === 0 ? found : null
      return { remainder: step(found.remainder, digit), places: found.places + 1 }
    },
    accepts: ({ remainder, places: read }) => {
      let rest = remainder
      for (let i = read; i < places; i++) rest = step(rest, 0)
      return rest === 0
    },
  })
  return { ...automaton, tellsWholeNumbers: true }
}
