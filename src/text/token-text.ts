/** The text of single tokens, for log-probabilities. */
import type { Tokenizer } from "./tokenizer.ts"

/** A character has at most four bytes. */
const MAX_CONTEXT = 4
const REPLACEMENT = "\ufffd"

/**
 * The text of token `id` where it follows `precedingIds`.
 *
 * A token that ends inside a character gives "", and the token that completes the character gives all of it: the
 * text of a sequence is the texts of its tokens.
 */
export function tokenTextAfter(tokenizer: Tokenizer, precedingIds: readonly number[], id: number): string {
  const alone = tokenizer.decode([id])
  if (!alone.endsWith(REPLACEMENT)) return alone
  for (let count = 1; count <= Math.min(MAX_CONTEXT, precedingIds.length); count++) {
    const context = precedingIds.slice(-count)
    const whole = tokenizer.decode([...context, id])
    if (whole.endsWith(REPLACEMENT)) continue
    // What complete tokens contribute is theirs.
    const firstIncomplete = context.findIndex((contextId) => tokenizer.decode([contextId]).endsWith(REPLACEMENT))
    const complete = tokenizer.decode(context.slice(0, firstIncomplete < 0 ? count : firstIncomplete))
    return whole.startsWith(complete) ? whole.slice(complete.length) : whole
  }
  return ""
}

/** The text of `ids[index]`; see `tokenTextAfter`. */
export function tokenText(tokenizer: Tokenizer, ids: readonly number[], index: number): string {
  return tokenTextAfter(tokenizer, ids.slice(Math.max(0, index - MAX_CONTEXT), index), ids[index]!)
}

/** UTF-8 bytes of a token's text, as the API's `bytes` has them. */
export function tokenBytes(text: string): number[] {
  return Array.from(new TextEncoder().encode(text))
}
