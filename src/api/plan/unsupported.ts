/** Fields that would change the answer in a way this server does not know how to: refused, never dropped in silence. */
import type { TObject, TSchema } from "@sinclair/typebox"
import { RequestError } from "../../base/errors.ts"
import { isRecord } from "../schema/coerce.ts"

type Asks = (value: unknown) => boolean

const given: Asks = (value) => value !== null && value !== undefined
const isTrue: Asks = (value) => value === true || value === 1 || value === "true"
const above = (limit: number): Asks => (value) => Number(value) > limit
export const nonEmpty: Asks = (value) => {
  if (Array.isArray(value) || typeof value === "string") return value.length > 0
  return isRecord(value) ? Object.keys(value).length > 0 : given(value)
}

/** Each row says which values ask for the change. */
const UNSUPPORTED: readonly (readonly [field: string, asks: Asks, instead?: string])[] = [
  ["best_of", above(1), "use n"],
  ["suffix", nonEmpty, "the model has no fill-in-the-middle format"],
  ["prompt_embeds", given],
  ["watermarking", isTrue],
  ["return_token_offsets", isTrue],
  ["logits_processors", nonEmpty, "the server's own are loaded with --logits-processors"],
  ["functions", nonEmpty, "use tools"],
  ["function_call", (value) => given(value) && value !== "none" && value !== "auto", "use tool_choice"],
  ["audio", given],
  ["modalities", (value) => Array.isArray(value) && value.some((modality) => modality !== "text")],
  ["web_search_options", given],
  ["media_io_kwargs", given],
  ["mm_processor_kwargs", given],
]

/** Errors: `RequestError` naming the first such field. */
export function refuseUnsupported(body: Readonly<Record<string, unknown>>): void {
  for (const [field, asks, instead] of UNSUPPORTED) {
    if (!asks(body[field])) continue
    const hint = instead === undefined ? "leave it out" : instead
    throw new RequestError(`${field} is not supported yet: ${hint}. (parameter=${field})`, { param: field })
  }
}

/** Of other endpoints, but without them the answer is the same. */
const HARMLESS: ReadonlySet<string> = new Set(
  ["user", "request_id", "stream_options", "stream_interval", "parallel_tool_calls", "include_reasoning"],
)

/**
 * Errors: `RequestError` naming the first field of `elsewhere` that `own` has no place for, with a value that counts
 * there. Whoever sends one means it.
 */
export function refuseForeign(body: Readonly<Record<string, unknown>>, own: TObject, elsewhere: TObject): void {
  for (const [field, schema] of Object.entries(elsewhere.properties)) {
    if (field in own.properties || HARMLESS.has(field) || saysNothing(body[field], schema)) continue
    throw new RequestError(`${field} is not a field of this endpoint, and would change the answer: leave it out.`, {
      param: field,
    })
  }
}

/** The value is what a request without the field has. */
function saysNothing(value: unknown, schema: TSchema): boolean {
  if (value === null || value === undefined) return true
  if (typeof value === "object") return Object.keys(value).length === 0
  const [{ default: byDefault } = {} as TSchema] = (schema["anyOf"] ?? [schema]) as TSchema[]
  return value === (byDefault ?? false)
}
