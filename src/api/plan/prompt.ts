/** Prompts as token ids: texts encoded, lists split, long ones truncated or refused before they cost much. */
import { RequestError } from "../../base/errors.ts"
import type { Tokenizer } from "../../text/tokenizer.ts"
import type { MessageStart } from "../cache-miss/message-starts.ts"
import type { ApiContext } from "../context.ts"
import type { CompletionRequest } from "../schema/completions.ts"
import type { TextWork } from "../work/text-work.ts"

export interface Prompt {
  /** Null where the caller gave token ids. */
  readonly text: string | null
  readonly tokenIds: readonly number[]
  /** Where the messages of a conversation begin in `text`; null where that cannot be told, or was not asked for. */
  readonly messageStarts?: readonly MessageStart[] | null
}

export interface Truncation {
  /** Tokens to keep; null keeps all of a prompt that may fit the model. */
  readonly limit: number | null
  /** The side that is cut off. */
  readonly side: "left" | "right"
}

/** A completion request's `prompt`, one entry a prompt. Errors: `RequestError` on "prompt" for none. */
export function splitPrompts(prompt: CompletionRequest["prompt"]): readonly (string | readonly number[])[] {
  if (prompt === null || prompt === undefined || prompt.length === 0) {
    throw new RequestError("The prompt must be given and must not be empty.", { param: "prompt" })
  }
  if (typeof prompt === "string") return [prompt]
  // One list of ids is one prompt; the schema lets no list mix kinds.
  if (typeof prompt[0] === "number") return [prompt as number[]]
  return prompt as string[] | number[][]
}

/** Errors: `RequestError` when the limit is more than the model takes. */
export function truncationFor(
  fields: { truncate_prompt_tokens?: number | null; truncation_side?: "left" | "right" | null },
  maxTokens: number | null,
  maxModelLen: number,
): Truncation {
  const side = fields.truncation_side ?? "left"
  const limit = fields.truncate_prompt_tokens ?? null
  if (limit === -1) return { limit: maxTokens === null ? maxModelLen : maxModelLen - 1, side }
  if (limit !== null && limit > maxModelLen) {
    throw new RequestError(`truncate_prompt_tokens must be at most the model's ${maxModelLen} tokens, got ${limit}.`, {
      param: "truncate_prompt_tokens",
    })
  }
  return { limit, side }
}

/**
 * Errors: `RequestError` with param "input_text" for a text that is not to be cut and is so long that no tokenization
 * of it can fit.
 */
export async function encodeText(
  { client, work }: Pick<ApiContext, "client" | "work">,
  text: string,
  addSpecialTokens: boolean,
  truncation: Truncation,
): Promise<Prompt> {
  const { maxModelLen } = client.model
  const maxChars = Math.max(maxModelLen, truncation.limit ?? 0) * longestPiece(client.tokenizer)
  if (truncation.limit === null) {
    if (text.length > maxChars) {
      throw new RequestError(
        `This model's maximum context length is ${maxModelLen} tokens. However, your prompt has ${text.length} ` +
          `characters, more than ${maxModelLen} tokens can hold. Please reduce the length of the input prompt.`,
        { param: "input_text", code: "context_length_exceeded" },
      )
    }
    return { text, tokenIds: await work.encode(text, addSpecialTokens) }
  }
  const part = truncation.side === "left" ? text.slice(-maxChars) : text.slice(0, maxChars)
  return { text, tokenIds: await truncateText(work, part, addSpecialTokens, truncation) }
}

export function truncateIds(tokenIds: readonly number[], { limit, side }: Truncation): readonly number[] {
  if (limit === null || tokenIds.length <= limit) return tokenIds
  return side === "left" ? tokenIds.slice(tokenIds.length - limit) : tokenIds.slice(0, limit)
}

/** Cuts the text's own tokens, so that what the tokenizer adds around them (BOS, EOS) stays. */
async function truncateText(
  work: TextWork, text: string, addSpecialTokens: boolean, truncation: Truncation,
): Promise<readonly number[]> {
  const ids = await work.encode(text, addSpecialTokens)
  const limit = truncation.limit ?? ids.length
  if (!addSpecialTokens || ids.length <= limit) return truncateIds(ids, truncation)
  const own = await work.encode(text, false)
  const numAdded = ids.length - own.length
  if (numAdded === 0 || numAdded >= limit) return truncateIds(ids, truncation)
  let numBefore = 0
  while (numBefore < numAdded && ids[numBefore] !== own[0]) numBefore++
  const kept = truncateIds(own, { limit: limit - numAdded, side: truncation.side })
  return [...ids.slice(0, numBefore), ...kept, ...ids.slice(numBefore + own.length)]
}

const longestPieces = new WeakMap<Tokenizer, number>()

/** UTF-16 units of the longest vocabulary piece: no token holds more text than that. */
function longestPiece(tokenizer: Tokenizer): number {
  const known = longestPieces.get(tokenizer)
  if (known !== undefined) return known
  let longest = 1
  for (let id = 0; id < tokenizer.vocabSize; id++) longest = Math.max(longest, tokenizer.tokenString(id)?.length ?? 0)
  longestPieces.set(tokenizer, longest)
  return longest
}
