/** Fields that do not affect an answer of this server: accepted, and named in the log once. */
import type { LogOnce } from "../observe/log-once.ts"
import { isRecord } from "../schema/coerce.ts"

export interface IgnoredField {
  /** Dotted path from the body. */
  readonly field: string
  /** Values that ask for what is done anyway, beside null. */
  readonly neutral?: readonly string[]
  /** What happens instead. */
  readonly because: string
}

/** Its edits make the context shorter than the client sent it; an answer to the whole of it is correct too. */
export const CONTEXT_MANAGEMENT: IgnoredField = {
  field: "context_management", because: "the conversation is used as it was sent",
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
