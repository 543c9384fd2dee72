/** Fields about how a request is served that make no other answer here: accepted, and named in the log once. */
import type { LogOnce } from "./log-once.ts"
import { isRecord } from "./schema/coerce.ts"

export interface IgnoredField {
  /** Dotted path from the body. */
  readonly field: string
  /** Values that ask for what is done anyway. Null, and no value at all, are always such. */
  readonly neutral?: readonly string[]
  /** What happens instead. */
  readonly because: string
}

/** Edits ask for less context than the client sent: the whole of it is no wrong answer. */
export const CONTEXT_MANAGEMENT: IgnoredField = {
  field: "context_management", because: "the model is shown the conversation as it was sent",
}

export function noteIgnored(warnOnce: LogOnce, body: object, fields: readonly IgnoredField[]): void {
  for (const { field, neutral = [], because } of fields) {
    const value = valueAt(body, field) ?? null
    if (value === null || neutral.some((word) => word === value)) continue
    warnOnce("ignored a request field", { field, because })
  }
}

function valueAt(body: unknown, path: string): unknown {
  return path.split(".").reduce((value, name) => (isRecord(value) ? value[name] : undefined), body)
}
