/**
 * Assertions catch our own bugs and stay on in production; a caller's mistake is a `RequestError`, never an assertion.
 * Messages are lazy so that hot paths pay only for the comparison.
 */
export class AssertionError extends Error {
  override readonly name = "AssertionError"
}

export function assert(condition: boolean, message?: string | (() => string)): asserts condition {
  if (condition) return
  throw new AssertionError(typeof message === "function" ? message() : (message ?? "assertion failed"))
}

/** The end of a `switch` over a closed union. */
export function unreachable(value: never): never {
  throw new AssertionError(`unreachable value: ${String(value)}`)
}

/** `value`, which is known to be present: an absent one is our bug. */
export function present<T>(value: T | null | undefined, what: string): T {
  if (value === null || value === undefined) throw new AssertionError(`missing: ${what}`)
  return value
}
