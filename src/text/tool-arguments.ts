/**
 * The arguments of earlier tool calls as templates take them: as objects. Clients send them as JSON text, and what a
 * model once wrote need not be JSON; the conversation has to go on all the same, so anything else is an empty object.
 */
import { RequestError } from "../base/errors.ts"
import { isJsonNumber, parseExactly } from "../base/json-number.ts"
import { isNestedDeeper, MAX_NESTING } from "../base/nesting.ts"
import { isObject } from "./tokenizer-json.ts"

export interface ToolArguments {
  readonly value: Readonly<Record<string, unknown>>
  /** Why `value` is empty although something was sent; null where it is what was sent. */
  readonly problem: string | null
}

const NONE: ToolArguments = { value: {}, problem: null }

export function toolArguments(sent: unknown): ToolArguments {
  if (sent === undefined || sent === null || sent === "") return NONE
  const value = typeof sent === "string" ? parsed(sent) : sent
  if (value instanceof Error) return { value: {}, problem: value.message }
  if (!isObject(value) || isJsonNumber(value)) return { value: {}, problem: "no object" }
  return { value, problem: null }
}

function parsed(text: string): unknown {
  try {
    // Its depth is looked at before anything goes through it by recursion.
    if (isNestedDeeper(JSON.parse(text), MAX_NESTING)) return new Error(`nested more than ${MAX_NESTING} deep`)
    return parseExactly(text)
  } catch (error) {
    if (error instanceof RequestError) return error
    return new Error("not valid JSON")
  }
}
