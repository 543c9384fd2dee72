/** The texts of running requests: where each stands in its grammar, and the masks of its next tokens. */
import type { GrammarMatcher } from "xgrammar-wasm"
import { GrammarError } from "./grammar-error.ts"
import type { GrammarStore } from "./grammar-store.ts"
import type { StepMasks } from "./protocol.ts"
import { RowStatus, type SharedMasks } from "./shared-masks.ts"
import { wordsOf } from "./source.ts"

/** Lists and objects of a text inside each other: xgrammar follows them by recursion, and its stack has an end. */
const MAX_TEXT_DEPTH = 1000

interface Followed {
  readonly matcher: GrammarMatcher
  readonly grammarId: number
  /** How deep the text is nested after each of its tokens. */
  readonly depths: number[]
}

export class Matchers {
  readonly #store: GrammarStore
  readonly #nesting: Int16Array
  readonly #requests = new Map<string, Followed>()
  readonly #onFailed: (requestId: string, words: string) => void

  /** `nesting` is by token. `onFailed` is told of a request that is no longer followed. */
  constructor(store: GrammarStore, nesting: Int16Array, onFailed: (requestId: string, words: string) => void) {
    this.#store = store
    this.#nesting = nesting
    this.#onFailed = onFailed
  }

  get size(): number {
    return this.#requests.size
  }

  start(requestId: string, grammarId: number): void {
    const grammar = this.#store.get(grammarId)
    if (grammar === null) return this.#onFailed(requestId, "its grammar is no longer there")
    this.#requests.set(requestId, { matcher: grammar.matcher(), grammarId, depths: [] })
  }

  finish(requestId: string): void {
    const followed = this.#requests.get(requestId)
    if (followed === undefined) return
    followed.matcher[Symbol.dispose]()
    this.#requests.delete(requestId)
    this.#store.release(followed.grammarId)
  }

  rollback(requestId: string, count: number): void {
    this.#use(requestId, ({ matcher, depths }) => {
      matcher.rollback(count)
      depths.length -= count
    })
  }

  /** Whole characters alone. */
  forcedText(requestId: string): string {
    const bytes = this.#use(requestId, ({ matcher }) => matcher.jumpForward())
    return bytes === null ? "" : new TextDecoder().decode(bytes, { stream: true })
  }

  step({ sequence, advances, rows }: StepMasks, masks: SharedMasks): void {
    for (const { requestId, tokenIds } of advances) {
      this.#use(requestId, (followed) => advance(followed, tokenIds, this.#nesting))
    }
    for (const { requestId, row, draftIds } of rows) {
      const isWritten = this.#use(requestId, ({ matcher }) => {
        fillRows(matcher, masks, row, draftIds)
        return true
      })
      if (isWritten !== null) continue
      for (let i = 0; i <= draftIds.length; i++) masks.setStatus(row + i, RowStatus.failed)
    }
    masks.publish(sequence)
  }

  /** Null: the request is not followed, or no longer. Errors that are not the grammar's go on: the module is lost. */
  #use<T>(requestId: string, use: (followed: Followed) => T): T | null {
    const followed = this.#requests.get(requestId)
    if (followed === undefined) return null
    try {
      return use(followed)
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
function advance({ matcher, depths }: Followed, tokenIds: readonly number[], nesting: Int16Array): void {
  for (const tokenId of tokenIds) {
    if (matcher.isTerminated) return
    const depth = (depths.at(-1) ?? 0) + (nesting[tokenId] ?? 0)
    if (depth > MAX_TEXT_DEPTH) throw new GrammarError(`the text is nested more than ${MAX_TEXT_DEPTH} deep`)
    if (!matcher.accept(tokenId)) throw new GrammarError(`token ${tokenId} is not one that the grammar admits here`)
    depths.push(depth)
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
