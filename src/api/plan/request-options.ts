/** Fields of both kinds of completions that are neither about the prompt nor about sampling. */
import { RequestError } from "../../base/errors.ts"
import type { ApiContext } from "../context.ts"
import { shapeError } from "../schema/parse.ts"
import type { SamplingFields } from "../schema/sampling-fields.ts"

const MAX_SALT_LENGTH = 128

/** How the answer is reported. */
export interface ReportOptions {
  readonly stream: boolean
  /** Usage in a chunk of its own at the end of a stream. */
  readonly includeUsage: boolean
  /** Usage on every chunk of a stream. */
  readonly continuousUsage: boolean
  /** The stream may go on over another connection. */
  readonly isResumable: boolean
  readonly tokenIds: boolean
  readonly tokensAsIds: boolean
  /** How the request went, in the answer; in the last chunk of a stream. */
  readonly metrics: boolean
}

/**
 * Errors: `RequestError` for stream options without a stream, for prompt log-probabilities with one, and for a stream
 * to be resumed where none is kept.
 */
export function reportOptions(fields: SamplingFields, context: ApiContext): ReportOptions {
  const stream = fields.stream ?? false
  const streamOptions = fields.stream_options ?? null
  if (!stream && streamOptions !== null) {
    throw new RequestError("Stream options can only be defined when `stream=True`.", { param: "stream_options" })
  }
  checkPromptLogprobs(fields.prompt_logprobs ?? null, stream)
  const isResumable = streamOptions?.resumable ?? false
  if (isResumable) context.streams.checkEnabled()
  const includeUsage = streamOptions?.include_usage ?? false
  return {
    stream,
    includeUsage,
    continuousUsage: includeUsage && (streamOptions?.continuous_usage_stats ?? false),
    isResumable,
    tokenIds: fields.return_token_ids ?? false,
    tokensAsIds: fields.return_tokens_as_token_ids ?? context.options.returnTokensAsTokenIds,
    metrics: fields.return_metrics ?? context.options.enablePerRequestMetrics,
  }
}

function checkPromptLogprobs(promptLogprobs: number | null, stream: boolean): void {
  const param = "prompt_logprobs"
  if (promptLogprobs === null) return
  if (stream && promptLogprobs !== 0) {
    throw new RequestError("`prompt_logprobs` are not available when `stream=True`.", { param })
  }
  if (promptLogprobs < -1) {
    throw new RequestError(
      `\`prompt_logprobs\` must be at least 0 or -1, got ${promptLogprobs}.`, { param },
    )
  }
}

/** The X-Vllm-Priority header wins over the body. */
export function requestPriority(request: Request, fields: Pick<SamplingFields, "priority">): number {
  const header = request.headers.get("x-vllm-priority")
  const priority = header === null ? (fields.priority ?? 0) : Number(header)
  if (header !== null && !/^\s*-?\d+\s*$/.test(header)) {
    throw new RequestError(
      `X-Vllm-Priority must be an integer, got ${JSON.stringify(header.slice(0, 40))}.`, { param: "priority" },
    )
  }
  if (!Number.isSafeInteger(priority)) {
    throw shapeError("body.priority", `Input should be an integer below 2^53, got ${priority}`)
  }
  return priority
}

export function cacheSalt(fields: Pick<SamplingFields, "cache_salt">): string | null {
  const salt = fields.cache_salt ?? null
  if (salt === null) return null
  if (salt.length === 0 || salt.length > MAX_SALT_LENGTH || /[@/\\\0]/.test(salt)) {
    throw new RequestError(
      `cache_salt must have 1 to ${MAX_SALT_LENGTH} characters, none of them @, /, \\ or NUL; got ${salt.length}.`,
      { param: "cache_salt" },
    )
  }
  return salt
}
