/** Fields that no schema knows are accepted, and named in the log once. */
import type { TObject } from "@sinclair/typebox"
import type { Log } from "../base/log.ts"

export type UnknownFieldLog = (schema: TObject, body: object) => void

const MAX_NAMES = 256
const MAX_NAME_LENGTH = 64

/** Bounded: a client that invents names cannot fill the memory or the log. */
export function unknownFieldLog(log: Log): UnknownFieldLog {
  const seen = new Set<string>()
  return (schema, body) => {
    for (const name of Object.keys(body)) {
      if (name in schema.properties || seen.has(name) || seen.size >= MAX_NAMES) continue
      seen.add(name)
      log.warning("ignored an unknown request field", { field: name.slice(0, MAX_NAME_LENGTH) })
    }
  }
}
