/**
 * Which tokens of a GGUF file's vocabulary end a turn. The file states one end-of-sequence id, and that is often the
 * one of the base model; chat templates close turns with another token, known by its name.
 */

const USUAL_ENDS: ReadonlySet<string> = new Set([
  "<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<|end|>", "<|return|>", "<|call|>", "<|calls|>", "<|flush|>",
  "<end_of_turn>", "<turn|>", "<|endoftext|>", "<|end_of_text|>", "<|endofturn|>", "<|END_OF_TURN_TOKEN|>",
  "<|end_of_turn|>", "<|eot|>", "<EOT>", "_<EOT>", "[EOT]", "[EOS]", "<eos>", "</s>", "<end_of_utterance>",
  "<｜end▁of▁sentence｜>", "<|eos|>", "[e~[",
])

/** Of these, what a vocabulary may also have as a tag of HTML. */
const AMBIGUOUS = "</s>"

/** `tokenizer.ggml.token_type`: tokens that are found in a prompt before it is split into pieces. */
const CONTROL = 3
const USER_DEFINED = 4

/** Whether a token is known to end a turn by what it is called. */
export function isUsualEnd(content: string): boolean {
  return USUAL_ENDS.has(content)
}

/** Ids of the control tokens whose names say that they end a turn, in the order of the vocabulary. */
export function ggufEndTokenIds(metadata: ReadonlyMap<string, unknown>): readonly number[] {
  const tokens = metadata.get("tokenizer.ggml.tokens")
  if (!Array.isArray(tokens)) return []
  const types = metadata.get("tokenizer.ggml.token_type") as ArrayLike<unknown> | undefined
  const ends = new Map<string, number>()
  tokens.forEach((content: unknown, id) => {
    if (typeof content === "string" && isUsualEnd(content) && isControl(content, types?.[id])) ends.set(content, id)
  })
  // Where answers are told from calls by the token that ends them, <|end|> closes each message on the way.
  const toldApart = [["<|return|>", "<|call|>"], ["<|flush|>", "<|calls|>"]]
  if (toldApart.some((pair) => pair.every((content) => ends.has(content)))) ends.delete("<|end|>")
  return [...ends.values()]
}

/** Old files do not say of what type their tokens are. */
function isControl(content: string, type: unknown): boolean {
  return type === undefined || type === CONTROL || (type === USER_DEFINED && content !== AMBIGUOUS)
}
