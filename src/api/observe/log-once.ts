/** Warnings about kinds of requests: the first request of a kind is logged, the others are not. */
import type { Log, LogFields } from "../../base/log.ts"

export type LogOnce = (message: string, fields: LogFields) => void

const MAX_LINES = 256

/** Warnings, each written once. Bounded: a client that varies its requests cannot fill the memory or the log. */
export function logOnce(log: Log): LogOnce {
  const seen = new Set<string>()
  return (message, fields) => {
    const line = JSON.stringify([message, fields])
    if (seen.has(line) || seen.size >= MAX_LINES) return
    seen.add(line)
    log.warning(message, fields)
  }
}
