/** Turns the words a request forbids into the token sequences the sampler looks for. */
import { RequestError } from "../base/errors.ts"
import type { Tokenizer } from "../text/tokenizer.ts"

export const MAX_BAD_WORD_SEQUENCES = 128
/** Characters of all the words: far more than that many sequences have, and encoded in a moment. */
export const MAX_BAD_WORD_CHARS = 16_384

/**
 * A word counts at the start of a text and after a space, which are different tokens for most vocabularies: each word
 * is encoded bare and with one leading space, and the second form is kept where it is another spelling of the same
 * length. Null when there is nothing to forbid.
 *
 * Errors: `RequestError` for an empty word, and for more characters or sequences than those above.
 */
export function tokenizeBadWords(words: readonly string[], tokenizer: Tokenizer): number[][] | null {
  const numChars = words.reduce((total, word) => total + word.length, 0)
  if (numChars > MAX_BAD_WORD_CHARS) {
    throw new RequestError(`bad_words must have at most ${MAX_BAD_WORD_CHARS} characters together, got ${numChars}.`, {
      param: "bad_words",
    })
  }
  const sequences: number[][] = []
  for (const [i, word] of words.entries()) {
    const stripped = word.trimStart()
    const bare = stripped === "" ? [] : tokenizer.encode(stripped, { addSpecialTokens: false })
    if (bare.length === 0) throw new RequestError(`bad_words cannot contain an empty string: entry ${i} is "${word}".`)
    const spaced = tokenizer.encode(` ${stripped}`, { addSpecialTokens: false })
    sequences.push(bare)
    if (spaced.length === bare.length && spaced[0] !== bare[0]) sequences.push(spaced)
    if (sequences.length > MAX_BAD_WORD_SEQUENCES) {
      throw new RequestError(
        `bad_words must make at most ${MAX_BAD_WORD_SEQUENCES} token sequences; ` +
          `the first ${i + 1} of ${words.length} words make ${sequences.length}.`,
        { param: "bad_words" },
      )
    }
  }
  return sequences.length === 0 ? null : sequences
}
