/** Refusals that no handler makes: of the key, the path, the method, the page. In the form that their client reads. */
import { RequestError } from "../../base/errors.ts"
import { anthropicError, isAnthropicPath } from "../anthropic/anthropic-errors.ts"
import { errorBody } from "./errors.ts"
import type { Unauthorized } from "../schema/errors.ts"

type EarlyStatus = 401 | 404 | 405

const WORDS = { 401: "Unauthorized", 404: "Not Found", 405: "Method Not Allowed" } as const

export function earlyRefusal(path: string, status: EarlyStatus, headers: Record<string, string> = {}): Response {
  const all = status === 401 ? { "www-authenticate": "Bearer", ...headers } : headers
  return Response.json(refusalBody(path, status), { status, headers: all })
}

/** An error in the form that the clients of `path` read. */
export function refusalResponse(path: string, error: RequestError): Response {
  const body = isAnthropicPath(path) ? anthropicError(error) : errorBody(error)
  return Response.json(body, { status: error.status })
}

/** In vLLM's words. */
function refusalBody(path: string, status: EarlyStatus): object {
  if (isAnthropicPath(path)) return anthropicError(new RequestError(WORDS[status], { status }))
  return status === 401 ? ({ error: WORDS[401] } satisfies Unauthorized) : { detail: WORDS[status] }
}
