/** Calls as models write them: what the readers of tool-formats.ts read. */
import { isJsonNumber } from "../../base/json-number.ts"
import { isObject } from "../tokenizer-json.ts"
import type { WrittenCall } from "./tool-format.ts"

/** Each call as a JSON object. */
export function jsonCalls(calls: readonly WrittenCall[], argumentsKey: "arguments" | "parameters"): string[] {
  return calls.map((call) => literal({ name: call.name, [argumentsKey]: call.arguments }, JSON_WORDS))
}

/** Each call as `begin` and `end` write them around its arguments, each of which `argument` writes. */
export function taggedCalls(calls: readonly WrittenCall[], tags: {
  readonly begin: (name: string) => string
  readonly argument: (key: string, value: string) => string
  readonly end: string
}): string[] {
  return calls.map((call) => {
    const given = Object.entries(call.arguments).map(([key, value]) =>
      tags.argument(key, typeof value === "string" ? value : literal(value, JSON_WORDS)))
    return `${tags.begin(call.name)}${given.join("")}${tags.end}`
  })
}

/** Each call's arguments as JSON, with `begin` of its name and index before them and `end` behind. */
export function markedCalls(
  calls: readonly WrittenCall[], begin: (name: string, index: number) => string, end: string,
): string[] {
  return calls.map((call, i) => `${begin(call.name, i)}${literal(call.arguments, JSON_WORDS)}${end}`)
}

/** All calls as one list of Python. */
export function pythonCalls(calls: readonly WrittenCall[]): string {
  const written = calls.map((call) => {
    const given = Object.entries(call.arguments).map(([key, value]) => `${key}=${literal(value, PYTHON_WORDS)}`)
    return `${call.name}(${given.join(", ")})`
  })
  return `[${written.join(", ")}]`
}

/** Each call as call:NAME{key:VALUE,...}, its strings between two of `quote`. */
export function gemmaCalls(calls: readonly WrittenCall[], quote: string): string[] {
  const written = (value: unknown): string => {
    if (typeof value === "string") return `${quote}${value}${quote}`
    if (Array.isArray(value)) return `[${value.map(written).join(",")}]`
    if (!isObject(value) || isJsonNumber(value)) return literal(value, JSON_WORDS)
    return `{${Object.entries(value).map(([key, part]) => `${key}:${written(part)}`).join(",")}}`
  }
  return calls.map((call) => `call:${call.name}${written(call.arguments)}`)
}

interface Words {
  readonly null: string
  readonly true: string
  readonly false: string
}

const JSON_WORDS: Words = { null: "null", true: "true", false: "false" }
const PYTHON_WORDS: Words = { null: "None", true: "True", false: "False" }

/** A value of JSON with Python's spaces, as models are trained to write it, and as Python's literal with its words. */
function literal(value: unknown, words: Words): string {
  if (value === null || value === undefined) return words.null
  if (typeof value === "boolean") return value ? words.true : words.false
  if (Array.isArray(value)) return `[${value.map((part) => literal(part, words)).join(", ")}]`
  if (!isObject(value) || isJsonNumber(value)) return JSON.stringify(value)
  const entries = Object.entries(value).map(([key, part]) => `${JSON.stringify(key)}: ${literal(part, words)}`)
  return `{${entries.join(", ")}}`
}
