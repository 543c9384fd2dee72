/** Where the marks of a model's reasoning come from: `--reasoning-config`, or a vocabulary that has the usual ones. */
import { ConfigError } from "../base/errors.ts"
import type { Tokenizer } from "../text/tokenizer.ts"
import type { ReasoningMarkers } from "./engine-client.ts"

const START = "<think>"
const END = "</think>"
const KEYS = ["reasoning_start_str", "reasoning_end_str"]

/**
 * `config` has vLLM's keys: `reasoning_start_str` and `reasoning_end_str`, which may be a whole sentence that ends with
 * the mark itself: "Enough of this.</think>". Null where the config says nothing and the vocabulary has no such tokens.
 *
 * Errors: `ConfigError` for other keys, and for a mark that is not a text of at least one of the model's `vocabSize`
 * tokens.
 */
export function reasoningMarkers(
  config: Readonly<Record<string, unknown>>, tokenizer: Tokenizer, vocabSize: number,
): ReasoningMarkers | null {
  const unknown = Object.keys(config).filter((key) => !KEYS.includes(key))
  if (unknown.length > 0) {
    throw new ConfigError(`--reasoning-config has ${unknown.join(", ")}, but knows ${KEYS.join(" and ")}`)
  }
  const isUsual = [START, END].every((mark) => (tokenizer.tokenId(mark) ?? vocabSize) < vocabSize)
  if (Object.keys(config).length === 0 && !isUsual) return null
  const startIds = markOf(config["reasoning_start_str"] ?? START, "reasoning_start_str", { tokenizer, vocabSize })
  const forcedEndIds = markOf(config["reasoning_end_str"] ?? END, "reasoning_end_str", { tokenizer, vocabSize })
  return { startIds, endIds: naturalEnd(forcedEndIds, tokenizer), forcedEndIds }
}

function markOf(
  text: unknown, key: string, { tokenizer, vocabSize }: { tokenizer: Tokenizer; vocabSize: number },
): number[] {
  const ids = typeof text === "string" ? tokenizer.encode(text, { addSpecialTokens: false }) : []
  if (ids.length === 0) {
    throw new ConfigError(`--reasoning-config: ${key} is ${JSON.stringify(text)}, but must be a text`)
  }
  const beyond = ids.find((id) => id >= vocabSize)
  if (beyond !== undefined) {
    throw new ConfigError(
      `--reasoning-config: ${key} is ${JSON.stringify(text)}, whose token ${beyond} the model cannot write: ` +
        `its vocabulary ends at ${vocabSize - 1}`,
    )
  }
  return ids
}

/** The model writes the mark alone: the token for it, where the sentence ends with one that is all of "</think>". */
function naturalEnd(forcedEndIds: readonly number[], tokenizer: Tokenizer): number[] {
  const last = forcedEndIds.at(-1)!
  const isMark = tokenizer.isSpecial(last) || /^<\/?[^<>]+>$/.test(tokenizer.tokenString(last) ?? "")
  return isMark ? [last] : [...forcedEndIds]
}
