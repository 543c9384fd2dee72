/** Errors as Anthropic's clients read them, under their name for each status. */
import { RequestError } from "../../base/errors.ts"
import type { Log } from "../../base/log.ts"
import { ClientGoneError, errorHeaders, errorResponse, toRequestError } from "../http/errors.ts"
import type { Handler } from "../http/opening.ts"
import type { AnthropicError } from "../schema/anthropic.ts"

const TYPES: Readonly<Record<number, string>> = {
  400: "invalid_request_error",
  401: "authentication_error",
  403: "permission_error",
  404: "not_found_error",
  413: "request_too_large",
  429: "rate_limit_error",
  503: "overloaded_error",
}

/** Whether Anthropic's clients ask for `path`, also where nothing serves it. */
export function isAnthropicPath(path: string): boolean {
  return path === "/v1/messages" || path.startsWith("/v1/messages/")
}

/**
 * A message with `thread`. One that continues a thread holds its last turn alone: answered as it stands, the
 * conversation would be lost. The tool runner of Anthropic's SDK uses threads by default; after an error of this code
 * it sends whole conversations.
 */
export class ThreadError extends RequestError {
  readonly errorCode = "thread_unsupported_request"

  constructor() {
    super("thread is not supported: send the whole conversation, without thread.", { param: "thread" })
  }
}

export function anthropicError(error: RequestError): AnthropicError {
  const { status, message } = error
  const type = TYPES[status] ?? (status < 500 ? "invalid_request_error" : "api_error")
  const details = error instanceof ThreadError ? { details: { error_code: error.errorCode } } : {}
  return { type: "error", error: { type, message, ...details } }
}

/** The handler, with what it throws in Anthropic's form. */
export function withAnthropicErrors(handler: Handler, log: Log): Handler {
  return async (route) => {
    try {
      return await handler(route)
    } catch (error) {
      if (error instanceof ClientGoneError) return errorResponse(error, log)
      const known = toRequestError(error, log)
      return Response.json(anthropicError(known), { status: known.status, headers: errorHeaders(known) })
    }
  }
}
