/** Fields that no schema knows are accepted, and named in the log once. */
import type { TObject } from "@sinclair/typebox"
import type { Log } from "../../base/log.ts"
import { logOnce } from "../observe/log-once.ts"

export type UnknownFieldLog = (schema: TObject, body: object) => void

const MAX_NAME_LENGTH = 64

export function unknownFieldLog(log: Log): UnknownFieldLog {
  const warnOnce = logOnce(log)
  return (schema, body) => {
    for (const name of Object.keys(body)) {
      if (name in schema.properties) continue
      warnOnce("ignored an unknown request field", { field: name.slice(0, MAX_NAME_LENGTH) })
    }
  }
}
