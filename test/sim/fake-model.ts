/**
 * A model of two attention layers, and at times a state, whose every value is a hash of what attention reads, so that
 * one wrong slot, stale block or foreign prefix anywhere in a request's past changes its next token.
 *
 *   layer 0 at p   v0(p) = mix(token(p), p, salt)
 *   layer 1 at p   v1(p) = fold of v0 over the positions that p sees in layer 0
 *   layer 2 at p   s(p)  = fold of s(p - 1) and v1(p), where there is a state
 *   token after p  fold of v1 over the positions that p sees in layer 1, and of s(p)
 *
 * Here is the model alone, on plain arrays: the oracle. `fake-runner.ts` runs it over a paged KV cache.
 */
import type { TokenLogprobs } from "../../src/core/schedule-plan.ts"

export const VOCAB_SIZE = 40
export const EOS_TOKEN_ID = 0
export const STOP_TOKEN_ID = 1

/** What the output before a prompt token says of it: different for other outputs, tokens and numbers of likeliest. */
export function judge(output: number, tokenId: number, numTop: number): TokenLogprobs {
  const topIds = Array.from({ length: numTop }, (_, i) => toToken(fold(output, i)))
  return { tokenId, logprob: fold(output, tokenId), rank: 1, topIds, topLogprobs: topIds.map((id) => fold(output, id)) }
}

/** A window by layer; Infinity is full attention. */
export type LayerWindows = readonly [number, number]

/** What sets a request's KV apart from that of another with the same tokens. */
export function saltValue(cacheSalt: string | null): number {
  let value = 7
  for (const c of cacheSalt ?? "") value = fold(value, c.charCodeAt(0))
  return value
}

export function mix(tokenId: number, position: number, salt: number): number {
  return fold(fold(fold(17, tokenId), position), salt)
}

export function fold(hash: number, value: number): number {
  const x = Math.imul(hash ^ value, 0x9e3779b1)
  return x ^ (x >>> 15)
}

/** The first position that a query at `position` sees. */
export function firstVisible(position: number, window: number): number {
  return Math.max(0, position - window + 1)
}

export function toToken(hash: number): number {
  return (hash >>> 0) % VOCAB_SIZE
}

/** Before the first token. */
export const FIRST_STATE = 3

/** Computes one request's tokens, position after position. */
export class FakeModel {
  readonly #windows: LayerWindows
  readonly #salt: number
  readonly #v0: number[] = []
  readonly #v1: number[] = []
  /** Null without one. */
  #state: number | null

  constructor(windows: LayerWindows, hasState: boolean, cacheSalt: string | null) {
    this.#windows = windows
    this.#state = hasState ? FIRST_STATE : null
    this.#salt = saltValue(cacheSalt)
  }

  /** Takes the next token in; returns the one that follows it. */
  next(tokenId: number): number {
    return toToken(this.output(tokenId))
  }

  /** Takes the next token in; returns the output at its position. */
  output(tokenId: number): number {
    const position = this.#v0.length
    this.#v0.push(mix(tokenId, position, this.#salt))
    this.#v1.push(foldRange(this.#v0, firstVisible(position, this.#windows[0]), position + 1))
    const output = foldRange(this.#v1, firstVisible(position, this.#windows[1]), position + 1)
    if (this.#state === null) return output
    this.#state = fold(this.#state, this.#v1[position] as number)
    return fold(output, this.#state)
  }
}

function foldRange(values: readonly number[], start: number, end: number): number {
  let hash = 1
  for (let i = start; i < end; i++) hash = fold(hash, values[i] as number)
  return hash
}
