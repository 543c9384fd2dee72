import { ConfigError } from "../base/errors.ts"
import { readSpeculation, type SpeculationConfig } from "../core/draft/speculation-config.ts"

/** A value of a flag, from the words of the command line. Errors: `ConfigError` that names flag, value and limits. */
export type ParseValue<T> = (text: string, flag: string) => T

function refuse(flag: string, text: string, rule: string): never {
  throw new ConfigError(`${flag} is ${JSON.stringify(text)}, but must be ${rule}`)
}

export const text: ParseValue<string> = (value, flag) => (value === "" ? refuse(flag, value, "not empty") : value)

export function oneOf<const T extends string>(...choices: readonly T[]): ParseValue<T> {
  const rule = `one of ${choices.join(", ")}`
  return (value, flag) => choices.find((choice) => choice === value) ?? refuse(flag, value, rule)
}

// A lower-case letter counts in thousands, an upper-case one in powers of 1024 and then takes whole numbers only.
const SUFFIXES: Readonly<Record<string, number>> = {
  k: 1e3, m: 1e6, g: 1e9, t: 1e12, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40,
}

/** A whole number: 4096, 4k, 25.6k, 4K (4096), 2G (2^31). Null when it is none. */
function wholeNumber(value: string): number | null {
  const match = /^(-?\d+)(\.\d+)?([kmgtKMGT])?$/.exec(value)
  if (match === null) return null
  const [, whole, fraction, suffix] = match
  if (suffix === undefined) return fraction === undefined ? Number(whole) : null
  if (fraction !== undefined && suffix === suffix.toUpperCase()) return null
  // Through decimal digits: 25.6 * 1000 is not whole in binary.
  const scaled = Math.round(Number(`${whole}${fraction ?? ""}`) * SUFFIXES[suffix]! * 1000) / 1000
  return Number.isSafeInteger(scaled) ? scaled : null
}

export function integer(limits: { min: number; max?: number; multipleOf?: number }): ParseValue<number> {
  const { min, max = Number.MAX_SAFE_INTEGER, multipleOf = 1 } = limits
  const kind = multipleOf === 1 ? "a whole number" : `a multiple of ${multipleOf}`
  const rule = limits.max === undefined ? `${kind} of at least ${min}` : `${kind} from ${min} to ${max}`
  return (value, flag) => {
    const number = wholeNumber(value)
    const isAllowed = number !== null && number >= min && number <= max && number % multipleOf === 0
    return isAllowed ? number : refuse(flag, value, rule)
  }
}

/** A share in (0, 1]. */
export const share: ParseValue<number> = (value, flag) => {
  const number = Number(value)
  return value.trim() !== "" && number > 0 && number <= 1 ? number : refuse(flag, value, "more than 0 and at most 1")
}

export function orAuto<T>(parse: ParseValue<T>): ParseValue<T | null> {
  return (value, flag) => (value === "auto" || value === "-1" ? null : parse(value, flag))
}

export const jsonStrings: ParseValue<readonly string[]> = (value, flag) => {
  const rule = 'a JSON list of texts such as ["a", "b"]'
  let parsed: unknown
  try {
    parsed = JSON.parse(value)
  } catch {
    refuse(flag, value, rule)
  }
  const isList = Array.isArray(parsed) && parsed.every((item) => typeof item === "string" && item !== "")
  return isList ? (parsed as string[]) : refuse(flag, value, rule)
}

export const jsonObject: ParseValue<Readonly<Record<string, unknown>>> = (value, flag) => {
  let parsed: unknown
  try {
    parsed = JSON.parse(value)
  } catch {
    refuse(flag, value, 'a JSON object such as {"temperature": 0.5}')
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) refuse(flag, value, "a JSON object")
  return parsed as Record<string, unknown>
}

export const speculation: ParseValue<SpeculationConfig> = (value, flag) => readSpeculation(jsonObject(value, flag))

/** Words separated by commas, none of them empty. */
export const commaSeparated: ParseValue<readonly string[]> = (value, flag) => {
  const words = value.split(",").map((word) => word.trim())
  return words.includes("") ? refuse(flag, value, "words separated by commas") : words
}
