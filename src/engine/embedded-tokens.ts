import { RequestError } from "../base/errors.ts"
import type { Tokenizer } from "../text/tokenizer.ts"

/**
 * Tokenizers may know tokens that the model has no embedding for. Errors: `RequestError` that names the first of them
 * in a prompt; an id that the tokenizer does not know either is left to the check of ids.
 */
export function checkEmbedded(promptTokenIds: readonly number[], tokenizer: Tokenizer, vocabSize: number): void {
  if (tokenizer.vocabSize <= vocabSize) return
  const id = promptTokenIds.find((candidate) => candidate >= vocabSize)
  const piece = id === undefined ? null : tokenizer.tokenString(id)
  if (piece === null) return
  throw new RequestError(
    `The prompt contains ${JSON.stringify(piece)}, token ${id} of the tokenizer, for which the model has no ` +
      `embedding: its vocabulary ends at ${vocabSize - 1}. Please leave it out.`,
    { param: "prompt" },
  )
}
