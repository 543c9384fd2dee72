import type { FinishReason } from "../core/engine-core-output.ts"
import type { LogprobsMode } from "../core/logprobs-mode.ts"
import type { GrammarSpec } from "../core/grammar-spec.ts"
import type { SamplingParams, ThinkingBudget } from "../core/sampling-params.ts"
import type { ChatTemplates } from "../text/chat-templates.ts"
import type { Tokenizer } from "../text/tokenizer.ts"
import type { FinishedRequest } from "./finished-request.ts"

/** What the HTTP layer knows of the model being served. */
export interface ModelInfo {
  /** The first is the one responses carry; the others are aliases. */
  readonly servedNames: readonly string[]
  /** What was given on the command line. */
  readonly root: string
  readonly maxModelLen: number
  readonly vocabSize: number
  /** Largest `logprobs` a request may ask for; -1 is the whole vocabulary. */
  readonly maxLogprobs: number
  /** Seconds since the epoch. */
  readonly created: number
  /** Sampling values that a request leaves out, from generation_config.json and its overrides (HF key names). */
  readonly generationDefaults: Readonly<Record<string, number>>
  readonly eosTokenId: number | null
  /** End-of-sequence ids beside the first: they stop a request as stop token ids do. */
  readonly extraEosTokenIds: readonly number[]
  /** What the model's reasoning begins and ends with; null when unknown. */
  readonly reasoning: ReasoningMarkers | null
  /** What log-probabilities tell of. */
  readonly logprobsMode: LogprobsMode
  /** Names of the logits processors that every request passes through. */
  readonly logitsProcessors: readonly string[]
}

export type ReasoningMarkers = Readonly<Omit<ThinkingBudget, "maxTokens" | "unmarkedStart">>

export interface BeamSearch {
  /** 1 divides a text's sum of log-probabilities by its length, 0 by nothing; above 1 favours long texts. */
  readonly lengthPenalty: number
}

export interface GenerateRequest {
  readonly requestId: string
  readonly promptTokenIds: readonly number[]
  /** `sampling.n` choices are generated. Already validated by `validateSampling`. */
  readonly sampling: SamplingParams
  readonly priority: number
  readonly cacheSalt: string | null
  /** Whose request it is, for the limits of each. */
  readonly owner?: string
  /**
   * delta: an output whenever a choice has something new.
   * final: one output a choice, in index order, when all are finished.
   */
  readonly outputKind: "delta" | "final"
  /** Finds the `sampling.n` likeliest texts instead of drawing them; of kind "final" alone. */
  readonly beamSearch?: BeamSearch | null
  /** Called once for each choice that was admitted, whatever its end, before its last output is read. */
  readonly onFinished?: (figures: FinishedRequest) => void
}

export interface TopLogprob {
  readonly tokenId: number
  readonly token: string
  readonly bytes: readonly number[]
  readonly logprob: number
  readonly rank: number
}

/** One token's log-probabilities: `top` holds the sampled token first, then the best k by rank, without doubles. */
export interface PositionLogprobs extends TopLogprob {
  readonly top: readonly TopLogprob[]
}

/** What is new for one choice. In `final` kind it is everything. */
export interface ChoiceOutput {
  /** [0, n) */
  readonly index: number
  readonly text: string
  readonly tokenIds: readonly number[]
  /** One entry a token of `tokenIds`; null when not asked for. */
  readonly logprobs: readonly PositionLogprobs[] | null
  /** One entry a prompt token but the first, on the choice's first output; null when not asked for. */
  readonly promptLogprobs: readonly PositionLogprobs[] | null
  /** Null until the choice is finished. */
  readonly finishReason: FinishReason | null
  /** The stop string or stop token id that matched; null for end-of-sequence and length. */
  readonly stopReason: string | number | null
  /** Tokens generated so far, this output included. */
  readonly numOutputTokens: number
  /** Prompt tokens found in the prefix cache. */
  readonly numCachedTokens: number
  /** Null until the choice is finished. */
  readonly figures: FinishedRequest | null
}

/** What becomes of live requests when the engine is paused. */
export type PauseMode = "abort" | "wait" | "keep"
/** What sleep gives back: nothing, the weights' memory, or the KV cache's too. */
export type SleepLevel = 0 | 1 | 2

/** Stops and starts the engine's work by hand. Everything here may fail with `EngineDeadError`. */
export interface EngineControl {
  /** Since the pause was asked for, whether or not the engine has come to rest yet. */
  readonly isPaused: boolean
  readonly isSleeping: boolean
  /**
   * abort: live requests end with what they have. wait: running ones finish first. keep: they stop where they are, and
   * go on later. With `clearCache` cached prefixes are forgotten at the end; requests that are kept are computed anew.
   * Errors: `RequestError` 409 when the engine sleeps, or is resumed while this waits.
   */
  pause(mode: PauseMode, clearCache: boolean): Promise<void>
  /** Errors: `RequestError` 409 when the engine sleeps. */
  resume(): Promise<void>
  /** Pauses, then gives memory back. Errors: as `pause`; 409 when it sleeps at another level. */
  sleep(level: SleepLevel, mode: PauseMode): Promise<void>
  /** Loads what sleep gave back, and resumes. Errors: `RequestError` 503 when there is no room for it; it sleeps on. */
  wakeUp(): Promise<void>
  /** Ends live requests with what they have, those whose `requestId` fits. Returns how many. */
  abort(isMeant: (requestId: string) => boolean): number
  /** False, with nothing changed, while requests hold blocks, unless `resetRunning`: then they are computed anew. */
  resetPrefixCache(resetRunning: boolean): Promise<boolean>
}

/** By the engine's last word. */
export interface EngineLoad {
  /** Share of the KV cache in use, 0 to 1. */
  readonly kvCacheUsage: number
  readonly numWaiting: number
}

/** One-engine surface that the HTTP layer talks to. */
export interface EngineClient {
  readonly model: ModelInfo
  readonly tokenizer: Tokenizer
  readonly chatTemplates: ChatTemplates
  /**
   * Outputs of the request's choices, interleaved. Ends when every choice is finished. Aborting `signal`, or leaving the
   * loop, frees the request within one step; an aborted request ends with no further output.
   *
   * Errors: `RequestError` before the first output when the request cannot be admitted (prompt too long, too many
   * waiting); `EngineDeadError` when the engine dies.
   */
  generate(request: GenerateRequest, signal: AbortSignal): AsyncGenerator<ChoiceOutput, void, void>
  /** Errors: `RequestError` naming the field, the value and the limit. */
  validatePrompt(promptTokenIds: readonly number[], sampling: SamplingParams): void
  validateSampling(sampling: SamplingParams): void
  /** Compiles a grammar ahead of its request. Errors: `RequestError` for one that cannot be followed. */
  checkGrammar(spec: GrammarSpec): Promise<void>
  /** Null while healthy, else the words of what went wrong. */
  deathReason(): string | null
  /** Null while requests are taken, else why they are not. */
  notReadyReason(): string | null
  /** Resolves with the words of what went wrong when the engine dies, or dies again; else never. */
  readonly death: Promise<string>
  /** Starts an engine that has died anew: what it worked on is lost. Rejects when it cannot be started. */
  restart(): Promise<void>
  /** Prometheus text, format 0.0.4. */
  metrics(): string
  /** Requests accepted and not yet finished. */
  numUnfinished(): number
  load(): EngineLoad
  readonly control: EngineControl
  /** Stops admitting, waits at most `timeoutMs` for running requests, then aborts the rest and stops the engine. */
  shutdown(timeoutMs: number): Promise<void>
}

export class EngineDeadError extends Error {
  override readonly name = "EngineDeadError"
}
