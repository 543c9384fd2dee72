/** The texts of running requests: where each stands in its grammar, and the masks of its next tokens. */
import type { GrammarMatcher } from "xgrammar-wasm"
import { GrammarError } from "./grammar-error.ts"
import type { GrammarStore } from "./grammar-store.ts"
import type { StepMasks } from "./protocol.ts"
import { RowStatus, type SharedMasks } from "./shared-masks.ts"
import { wordsOf } from "./source.ts"

interface Followed {
  readonly matcher: GrammarMatcher
  readonly grammarId: number
}

export class Matchers {
  readonly #store: GrammarStore
  readonly #requests = new Map<string, Followed>()
  readonly #onFailed: (requestId: string, words: string) => void

  /** `onFailed` is told of a request that is no longer followed. */
  constructor(store: GrammarStore, onFailed: (requestId: string, words: string) => void) {
    this.#store = store
    this.#onFailed = onFailed
  }

  get size(): number {
    return this.#requests.size
  }

  start(requestId: string, grammarId: number): void {
    const grammar = this.#store.get(grammarId)
    if (grammar === null) return this.#onFailed(requestId, "its grammar is no longer there")
    this.#requests.set(requestId, { matcher: grammar.matcher(), grammarId })
  }

  finish(requestId: string): void {
    const followed = this.#requests.get(requestId)
    if (followed === undefined) return
    followed.matcher[Symbol.dispose]()
    this.#requests.delete(requestId)
    this.#store.release(followed.grammarId)
  }

  rollback(requestId: string, count: number): void {
    this.#use(requestId, (matcher) => matcher.rollback(count))
  }

  /** Whole characters alone. */
  forcedText(requestId: string): string {
    return this.#use(requestId, (matcher) => new TextDecoder().decode(matcher.jumpForward(), { stream: true })) ?? ""
  }

  step({ sequence, advances, rows }: StepMasks, masks: SharedMasks): void {
    for (const { requestId, tokenIds } of advances) this.#use(requestId, (matcher) => advance(matcher, tokenIds))
    for (const { requestId, row, draftIds } of rows) {
      const isWritten = this.#use(requestId, (matcher) => {
        fillRows(matcher, masks, row, draftIds)
        return true
      })
      if (isWritten !== null) continue
      for (let i = 0; i <= draftIds.length; i++) masks.setStatus(row + i, RowStatus.failed)
    }
    masks.publish(sequence)
  }

  /** Null: the request is not followed, or no longer. Errors that are not the grammar's go on: the module is lost. */
  #use<T>(requestId: string, use: (matcher: GrammarMatcher) => T): T | null {
    const followed = this.#requests.get(requestId)
    if (followed === undefined) return null
    try {
      return use(followed.matcher)
    } catch (error) {
      const words = wordsOf(error)
      if (words === null) throw error
      this.finish(requestId)
      this.#onFailed(requestId, words)
      return null
    }
  }
}

/** Tokens after a text's end are ignored, as stop tokens may be followed by what was already drafted. */
function advance(matcher: GrammarMatcher, tokenIds: readonly number[]): void {
  for (const tokenId of tokenIds) {
    if (matcher.isTerminated) return
    if (!matcher.accept(tokenId)) throw new GrammarError(`token ${tokenId} is not one that the grammar admits here`)
  }
}

function fillRows(matcher: GrammarMatcher, masks: SharedMasks, row: number, draftIds: readonly number[]): void {
  let accepted = 0
  for (let i = 0; i <= draftIds.length; i++) {
    if (i > 0) {
      const isAdmitted = accepted === i - 1 && !matcher.isTerminated && matcher.accept(draftIds[i - 1]!)
      if (isAdmitted) accepted++
    }
    if (accepted < i) masks.setStatus(row + i, RowStatus.unreachable)
    else if (matcher.isTerminated) masks.setStatus(row + i, RowStatus.free)
    else masks.setStatus(row + i, matcher.fillMask(masks.row(row + i)) ? RowStatus.masked : RowStatus.free)
  }
  matcher.rollback(accepted)
}
