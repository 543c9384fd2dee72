/**
 * The arguments of earlier tool calls as templates take them: as objects. Clients send them as JSON text, and what a
 * model once wrote need not be JSON; the conversation has to go on all the same, so anything else is an empty object.
 */
import { RequestError } from "../base/errors.ts"
import { isJsonNumber, parseExactly } from "../base/json-number.ts"
import { MAX_NESTING, scanJson, type JsonLimits } from "../base/json-scan.ts"
import { isObject } from "./tokenizer-json.ts"

export interface ToolArguments {
  readonly value: Readonly<Record<string, unknown>>
  /** Why `value` is empty although something was sent; null where it is what was sent. */
  readonly problem: string | null
}

const NONE: ToolArguments = { value: {}, problem: null }

/** How much JSON the texts of arguments may hold in all: a short text can become many values. */
export class ArgumentBudget {
  readonly #limits: JsonLimits
  #numValues = 0
  #numNumbers = 0

  constructor(limits: Pick<JsonLimits, "maxValues" | "maxNumbers"> = { maxValues: Infinity, maxNumbers: Infinity }) {
    this.#limits = { ...limits, maxDepth: MAX_NESTING }
  }

  /** Takes off what `text` holds. False: it is nested too deep. Errors: `RequestError` for more than may be held. */
  take(text: string): boolean {
    const { maxDepth, maxValues, maxNumbers } = this.#limits
    const left = { maxDepth, maxValues: maxValues - this.#numValues, maxNumbers: maxNumbers - this.#numNumbers }
    const size = scanJson(new TextEncoder().encode(text), left)
    if (size === "maxDepth") return false
    if (size === "maxValues") refuse(`${maxValues} values (see --max-body-values)`)
    if (size === "maxNumbers") refuse(`${maxNumbers} numbers in lists (see --max-body-numbers)`)
    this.#numValues += size.numValues
    this.#numNumbers += size.numNumbers
    return true
  }
}

function refuse(limit: string): never {
  throw new RequestError(`The arguments of earlier tool calls hold more than ${limit}.`, { param: "messages" })
}

/** Errors: those of `ArgumentBudget.take`. */
export function toolArguments(sent: unknown, budget = new ArgumentBudget()): ToolArguments {
  if (sent === undefined || sent === null || sent === "") return NONE
  const value = typeof sent === "string" ? parsed(sent, budget) : sent
  if (value instanceof Error) return { value: {}, problem: value.message }
  if (!isObject(value) || isJsonNumber(value)) return { value: {}, problem: "no object" }
  return { value, problem: null }
}

function parsed(text: string, budget: ArgumentBudget): unknown {
  if (!budget.take(text)) return new Error(`nested more than ${MAX_NESTING} deep`)
  try {
    return parseExactly(text)
  } catch (error) {
    if (error instanceof RequestError) return error
    return new Error("not valid JSON")
  }
}
