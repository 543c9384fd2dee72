/**
 * What a logits processor of one's own implements: a module that `--logits-processors` names, whose default export is a
 * `LogitsProcessor`, or a function that makes one. See docs/logits-processors.md.
 *
 * It runs on the engine's thread, between steps of all requests: what it takes, every request waits for.
 */

/** A request that joins. Its row stays the same object until it leaves; other requests never move it. */
export interface LogitsRequest {
  readonly requestId: string
  /** Prompt, then outputs; grows by a token a step. A request that comes back from preemption has outputs already. */
  readonly tokenIds: readonly number[]
  readonly numPromptTokens: number
  /** The request's `vllm_xargs`. */
  readonly args: Readonly<Record<string, unknown>>
  readonly temperature: number
}

/** What a processor keeps for one request. */
export interface LogitsRow {
  /**
   * Changes `logits` [vocabulary] in place: -Infinity forbids a token. Called once for each token that is sampled,
   * after penalties and before temperature. The array is valid during the call alone. What is done must follow from the
   * request's own tokens and arguments, and from nothing else, or a request's tokens depend on its company.
   * What it throws, and a NaN, ends its request with a 500.
   */
  apply(logits: Float32Array): void
}

export interface LogitsProcessor {
  /** Shown in errors. */
  readonly name: string
  /** A row for a request that joins, or null to leave it alone. What it throws refuses the request with a 400. */
  add(request: LogitsRequest): LogitsRow | null
  /** A request for which `add` gave a row leaves: finished, aborted, or preempted (then it may come back). */
  remove?(requestId: string): void
}

export interface LogitsModel {
  readonly vocabSize: number
  readonly maxModelLen: number
}

export type MakeLogitsProcessor = (model: LogitsModel) => LogitsProcessor
