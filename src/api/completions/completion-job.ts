import type { PromptRun } from "../plan/generation.ts"
import type { FirstToken } from "../plan/logprobs.ts"
import type { ReportOptions } from "../plan/request-options.ts"

/** A completion request, checked and planned: what the builders of its answer need to know. */
export interface CompletionJob {
  readonly id: string
  readonly created: number
  readonly model: string
  readonly fingerprint: string
  readonly runs: readonly PromptRun[]
  readonly report: ReportOptions
  /** Likeliest tokens to list; null lists none. */
  readonly numLogprobs: number | null
  /** The text that goes before each prompt's choices; null without echo. */
  readonly echoes: readonly string[] | null
  /** With echo and log-probabilities: each prompt's first token. */
  readonly firstTokens: readonly FirstToken[] | null
  /** `max_tokens: 0` with echo: the engine makes one token that is not shown. */
  readonly echoOnly: boolean
}
