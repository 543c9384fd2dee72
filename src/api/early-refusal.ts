/** Refusals that no handler makes: of the key, of the path, of the method. In vLLM's words, or in Anthropic's form. */
import { RequestError } from "../base/errors.ts"
import { anthropicError, isAnthropicPath } from "./anthropic/anthropic-errors.ts"
import type { Unauthorized } from "./schema/errors.ts"

type EarlyStatus = 401 | 404 | 405

const WORDS = { 401: "Unauthorized", 404: "Not Found", 405: "Method Not Allowed" } as const

export function earlyRefusal(path: string, status: EarlyStatus, headers: Record<string, string> = {}): Response {
  const all = status === 401 ? { "www-authenticate": "Bearer", ...headers } : headers
  return Response.json(refusalBody(path, status), { status, headers: all })
}

function refusalBody(path: string, status: EarlyStatus): object {
  if (isAnthropicPath(path)) return anthropicError(new RequestError(WORDS[status], { status }))
  return status === 401 ? ({ error: WORDS[401] } satisfies Unauthorized) : { detail: WORDS[status] }
}
