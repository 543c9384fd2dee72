/** What log-probabilities are made of, in vLLM's words: what the model gave, or what the tokens were drawn from. */
export const LOGPROBS_MODES = ["raw_logprobs", "raw_logits", "processed_logprobs", "processed_logits"] as const
export type LogprobsMode = (typeof LOGPROBS_MODES)[number]

/** After edits, penalties, temperature and the filters, not before. */
export function readsProcessed(mode: LogprobsMode): boolean {
  return mode.startsWith("processed")
}

/** Logits themselves, not their log-softmax. */
export function returnsLogits(mode: LogprobsMode): boolean {
  return mode.endsWith("logits")
}
