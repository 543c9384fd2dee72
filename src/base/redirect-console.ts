import { format } from "node:util"
import type { LogLevel } from "./log.ts"

/**
 * Has what others write with `console` go to `write`, line by line: the runtime would write it at once, and wait for a
 * reader that stalls.
 */
export function redirectConsole(write: (level: LogLevel, line: string) => void): void {
  const to = (level: LogLevel) => (...values: unknown[]) =>
    format(...values).split("\n").forEach((line) => write(level, line))
  Object.assign(console, {
    debug: to("debug"), log: to("info"), info: to("info"), dir: to("info"), table: to("info"),
    warn: to("warning"), error: to("error"), trace: to("error"),
  })
}
