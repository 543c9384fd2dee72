/** Calls as models write them: what the readers of tool-formats.ts read. */
import { isJsonNumber } from "../../base/json-number.ts"
import { isObject } from "../tokenizer-json.ts"
import type { WrittenCall } from "./tool-format.ts"

/** Each call as a JSON object. */
export function jsonCalls(calls: readonly WrittenCall[], argumentsKey: "arguments" | "parameters"): string[] {
  return calls.map((call) => literal({ name: call.name, [argumentsKey]: call.arguments }, JSON_WORDS))
}

/** Each call with a tag for it and one for each argument: a text as it is, all else as JSON. */
export function taggedCalls(calls: readonly WrittenCall[]): string[] {
  return calls.map((call) => {
    const parameters = Object.entries(call.arguments).map(([key, value]) => {
      return `<parameter=${key}>\n${typeof value === "string" ? value : literal(value, JSON_WORDS)}\n</parameter>\n`
    })
    return `<function=${call.name}>\n${parameters.join("")}</function>`
  })
}

/** All calls as one list of Python. */
export function pythonCalls(calls: readonly WrittenCall[]): string {
  const written = calls.map((call) => {
    const given = Object.entries(call.arguments).map(([key, value]) => `${key}=${literal(value, PYTHON_WORDS)}`)
    return `${call.name}(${given.join(", ")})`
  })
  return `[${written.join(", ")}]`
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
