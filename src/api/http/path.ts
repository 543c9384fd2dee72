/** Paths of requests: whatever a client sends as one must not get as far as a router that trusts it. */
import { RequestError } from "../../base/errors.ts"
import { refusalResponse } from "./early-refusal.ts"

/** Whether `path` says what its percent signs stand for: bytes of UTF-8. */
export function isPercentEncoded(path: string): boolean {
  if (!path.includes("%")) return true
  try {
    decodeURIComponent(path)
    return true
  } catch {
    return false
  }
}

export function badPath(path: string): Response {
  const words = `The path ${JSON.stringify(path.slice(0, 100))} is not percent-encoded UTF-8.`
  return refusalResponse(path, new RequestError(words, { type: "Bad Request" }))
}

/** The URL of a request as a whole one: HTTP/1.0 names no host, and what is named may be none. */
export function wholeUrl(url: string): URL {
  const whole = URL.parse(url)
  if (whole !== null) return whole
  const path = url.replace(/^[a-z]+:\/\/[^/]*/i, "")
  return new URL(`http://localhost${path.startsWith("/") ? path : `/${path}`}`)
}
