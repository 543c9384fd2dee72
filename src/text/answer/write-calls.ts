/** Calls as models write them: what the readers of tool-formats.ts read. */
import { isJsonNumber } from "../../base/json-number.ts"
import { isObject } from "../tokenizer-json.ts"
import type { WrittenCall } from "./tool-format.ts"

/** Each call as a JSON object. */
export function jsonCalls(calls: readonly WrittenCall[], argumentsKey: "arguments" | "parameters"): string[] {
  return calls.map((call) => {
    const name = JSON.stringify(call.name)
    return `{"name": ${name}, "${argumentsKey}": ${JSON.stringify(call.arguments)}}`
  })
}

/** Each call with a tag for it and one for each argument: a text as it is, all else as JSON. */
export function taggedCalls(calls: readonly WrittenCall[]): string[] {
  return calls.map((call) => {
    const parameters = Object.entries(call.arguments).map(([key, value]) => {
      return `<parameter=${key}>\n${typeof value === "string" ? value : JSON.stringify(value)}\n</parameter>\n`
    })
    return `<function=${call.name}>\n${parameters.join("")}</function>`
  })
}

/** All calls as one list of Python. */
export function pythonCalls(calls: readonly WrittenCall[]): string {
  const written = calls.map((call) => {
    const given = Object.entries(call.arguments).map(([key, value]) => `${key}=${pythonLiteral(value)}`)
    return `${call.name}(${given.join(", ")})`
  })
  return `[${written.join(", ")}]`
}

/** A value of JSON as Python has it. */
function pythonLiteral(value: unknown): string {
  if (value === null || value === undefined) return "None"
  if (typeof value === "boolean") return value ? "True" : "False"
  if (Array.isArray(value)) return `[${value.map(pythonLiteral).join(", ")}]`
  if (!isObject(value) || isJsonNumber(value)) return JSON.stringify(value)
  const entries = Object.entries(value).map(([key, part]) => `${JSON.stringify(key)}: ${pythonLiteral(part)}`)
  return `{${entries.join(", ")}}`
}
