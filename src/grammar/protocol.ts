/**
 * Messages of the grammar threads. All are plain data.
 *
 * A *check* thread finds out whether a grammar can be used and how it is written for xgrammar: it may take long, and is
 * ended when it takes too long. The *match* thread compiles what has passed, follows the texts of running requests and
 * writes their masks. It gets messages from two sides: grammars from the main thread, and through a port requests from
 * the thread that runs steps.
 */
import type { GrammarSpec } from "../core/grammar-spec.ts"
import type { GrammarLimits } from "./limits.ts"
import type { GrammarSource } from "./schema-grammar.ts"
import type { GrammarVocabulary } from "./vocabulary.ts"

/** The first message to a thread. */
export interface GrammarThreadStart {
  readonly type: "start"
  /** xgrammar's module. */
  readonly wasm: Uint8Array
  readonly vocabulary: GrammarVocabulary
  readonly limits: GrammarLimits
}

export type ToGrammarThread =
  | GrammarThreadStart
  /** To a check thread. Answered with `checked`. */
  | { readonly type: "check"; readonly jobId: number; readonly spec: GrammarSpec }
  /** To the match thread: enters a grammar under an id of the sender's, with one user. Answered with `compiled`. */
  | { readonly type: "compile"; readonly grammarId: number; readonly source: GrammarSource }
  /** One user more. Answered with `compiled`; refused if the grammar is no longer there. */
  | { readonly type: "retain"; readonly grammarId: number }
  /** One user less: a request that never started. `finish` does this for one that has. */
  | { readonly type: "release"; readonly grammarId: number }
  /** Where the requests of the step thread come from, and where their masks go. */
  | { readonly type: "connect"; readonly port: MessagePort; readonly masks: MaskMemory }

export interface MaskMemory {
  readonly buffer: SharedArrayBuffer
  readonly rows: number
  readonly vocabSize: number
}

/** Words: the grammar is to blame. */
export type Outcome<T> = { readonly isOk: true; readonly value: T } | { readonly isOk: false; readonly words: string }

export type FromGrammarThread =
  | { readonly type: "checked"; readonly jobId: number; readonly outcome: Outcome<GrammarSource> }
  | { readonly type: "compiled"; readonly grammarId: number; readonly outcome: Outcome<null> }
  /** Grammars that are no longer there: they had no users. */
  | { readonly type: "evicted"; readonly grammarIds: readonly number[] }
  /** The thread can go on no longer: it is to be ended. */
  | { readonly type: "died"; readonly words: string }

/** From the step thread, in order. */
export type ToMatcher =
  /** The request's text begins; it takes over one use of the grammar. */
  | { readonly type: "start"; readonly requestId: string; readonly grammarId: number }
  | StepMasks
  /** Takes back the request's last tokens. */
  | { readonly type: "rollback"; readonly requestId: string; readonly count: number }
  /** Answered with `forced`. */
  | { readonly type: "jumpForward"; readonly requestId: string }
  /** Unknown requests are ignored: they may have failed. */
  | { readonly type: "finish"; readonly requestId: string }

/**
 * One step: first the tokens that have become part of texts, then the masks that are wanted. When they are written, the
 * masks' sequence number becomes `sequence`.
 */
export interface StepMasks {
  readonly type: "step"
  readonly sequence: number
  readonly advances: readonly { readonly requestId: string; readonly tokenIds: readonly number[] }[]
  /**
   * A request's rows: the first for the token after its text, and one after each of its drafts. Drafts do not stay.
   */
  readonly rows: readonly { readonly requestId: string; readonly row: number; readonly draftIds: readonly number[] }[]
}

/** To the step thread. */
export type FromMatcher =
  /** The request is no longer followed: a token that its grammar does not admit, or our mistake. */
  | { readonly type: "failed"; readonly requestId: string; readonly words: string }
  /** The text that the grammar forces next; "" for none. */
  | { readonly type: "forced"; readonly requestId: string; readonly text: string }
