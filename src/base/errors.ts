/**
 * Errors that are the caller's fault, or the machine's: everything else is an assertion.
 *
 * `RequestError` is thrown before a request is admitted; `status`, `type`, `param` and `code` are what OpenAI clients
 * read.
 * `ConfigError` stops the start of the server: a flag, a file or a model that cannot be used.
 */
export type RequestErrorType =
  | "BadRequestError" // a well-formed request that asks for what cannot be done
  | "Bad Request" // a request whose shape is wrong (schema, JSON)
  | "invalid_request_error" // what the Responses API says of ids and states
  | "NotFoundError"
  | "ConflictError"
  | "UnprocessableEntityError"
  | "RateLimitError"
  | "ServiceUnavailableError"
  | "Service Unavailable" // vLLM's name for a queue that is full
  | "InternalServerError"
  | "NotImplementedError"
  | "RequestEntityTooLarge"
  | "PermissionDeniedError"
  | "Unauthorized"

/** OpenAI's names of errors that clients react to by themselves. */
export type RequestErrorCode = "context_length_exceeded"

export interface RequestErrorOptions {
  readonly status?: number
  readonly type?: RequestErrorType
  readonly param?: string | null
  readonly code?: RequestErrorCode | null
  readonly retryAfterSeconds?: number | null
}

export class RequestError extends Error {
  override readonly name = "RequestError"
  readonly status: number
  readonly type: RequestErrorType
  /** Dotted path of the offending field, or null. */
  readonly param: string | null
  /** Null: `status` says enough. */
  readonly code: RequestErrorCode | null
  /** When the same request may do better; null: there is no telling, or never. */
  readonly retryAfterSeconds: number | null

  constructor(message: string, options: RequestErrorOptions = {}) {
    super(message)
    this.status = options.status ?? 400
    this.type = options.type ?? "BadRequestError"
    this.param = options.param ?? null
    this.code = options.code ?? null
    this.retryAfterSeconds = options.retryAfterSeconds ?? null
  }
}

/** Words may repeat what a file says, and a file says what it likes. */
const MAX_CONFIG_MESSAGE = 2000

export class ConfigError extends Error {
  override readonly name = "ConfigError"

  constructor(message: string) {
    super(message.length > MAX_CONFIG_MESSAGE ? `${message.slice(0, MAX_CONFIG_MESSAGE)}...` : message)
  }
}

/** A kernel library reported a failure: a model, a flag or a machine that does not fit, or the end of the engine. */
export class NativeError extends Error {
  override readonly name = "NativeError"
  readonly op: string
  readonly status: number

  constructor(op: string, status: number, message: string) {
    super(`${op}: ${message} (status ${status})`)
    this.op = op
    this.status = status
  }
}

/**
 * Whether an error tells of something outside of this program: a flag, a file, the machine. Its words say all there is
 * to know; any other error is a mistake of ours, which a stack helps to find.
 */
export function isOperational(error: unknown): error is Error {
  if (error instanceof ConfigError || error instanceof NativeError) return true
  return error instanceof Error && "syscall" in error && "code" in error
}
