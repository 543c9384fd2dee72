import type { TokenSequence } from "../token-list.ts"

/** A request as a drafter sees it. */
export interface DraftRequest {
  readonly requestId: string
  /** Prompt, then outputs; between two calls for one request they only grow. */
  readonly tokenIds: TokenSequence
  readonly numPromptTokens: number
  /** Whose past outputs it may be drafted from, and into whose its own go; null: nobody's. */
  readonly tenant: string | null
}

/** Guesses the next tokens of requests. A guess costs time when it is wrong, and never changes what is generated. */
export interface Drafter {
  /** At most `maxTokens` tokens that may follow the request's last one; empty where it has no idea. */
  propose(request: DraftRequest, maxTokens: number): number[]
  /** The request has ended: what is kept for it alone is dropped. */
  finish(request: DraftRequest): void
}
