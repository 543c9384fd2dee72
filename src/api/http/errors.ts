/**
 * Everything that can go wrong as an answer: OpenAI's error body, whose code is the HTTP status unless the error has a
 * code of its own.
 *
 * A `RequestError` says what the caller may know; one of status 500 is for the operator too, who has the model and the
 * logits processors. Whatever else is thrown is a fault of ours: the caller learns that there was one, the log learns
 * which.
 */
import { RequestError } from "../../base/errors.ts"
import type { Log } from "../../base/log.ts"
import { EngineDeadError } from "../../engine/engine-client.ts"
import type { ErrorBody } from "../schema/errors.ts"

/** Ends a request whose client is gone: nobody reads the answer. */
export class ClientGoneError extends Error {
  override readonly name = "ClientGoneError"
}

/** What nginx logs for a client that closed its connection. */
const CLIENT_CLOSED_REQUEST = 499

export function toRequestError(error: unknown, log: Log): RequestError {
  if (error instanceof RequestError) {
    if (error.status === 500) log.error("a request failed", { reason: error.message })
    return error
  }
  if (error instanceof EngineDeadError) {
    log.error("the engine died under a request", { reason: error.message })
    return new RequestError("The engine stopped while it worked on this request.", {
      status: 500,
      type: "InternalServerError",
    })
  }
  log.error("internal error", { error: error instanceof Error ? error.stack || error.message : String(error) })
  return new RequestError("Internal server error.", { status: 500, type: "InternalServerError" })
}

export function errorBody(error: RequestError): ErrorBody {
  const { message, type, param, code, status } = error
  return { error: { message, type, param, code: code ?? status } }
}

export function errorHeaders({ retryAfterSeconds }: RequestError): Record<string, string> {
  return retryAfterSeconds === null ? {} : { "retry-after": String(retryAfterSeconds) }
}

export function errorResponse(error: unknown, log: Log): Response {
  if (error instanceof ClientGoneError) return new Response(null, { status: CLIENT_CLOSED_REQUEST })
  const known = toRequestError(error, log)
  return Response.json(errorBody(known), { status: known.status, headers: errorHeaders(known) })
}
