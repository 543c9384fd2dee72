/** What an answer tells of its prompt's log-probabilities. */
import type { SamplingParams } from "../../core/sampling-params.ts"
import type { PositionLogprobs } from "../../engine/engine-client.ts"
import { finite } from "./logprobs.ts"
import type { PromptLogprobs } from "../schema/logprobs.ts"

/** A list of `{token id: entry}` a prompt token, null for the first; null when not asked for. */
export function promptLogprobs(positions: readonly PositionLogprobs[] | null): PromptLogprobs | null {
  if (positions === null) return null
  return [
    null,
    ...positions.map(({ top }) =>
      Object.fromEntries(top.map(({ tokenId, logprob, rank, token }) =>
        [String(tokenId), { logprob: finite(logprob), rank, decoded_token: token }]))),
  ]
}

/** With `echo`, log-probabilities of the output are asked for of the prompt too, unless the request says otherwise. */
export function echoedLogprobs(sampling: SamplingParams, echo: boolean): SamplingParams {
  if (!echo || sampling.logprobs === null) return sampling
  return { ...sampling, promptLogprobs: sampling.promptLogprobs ?? sampling.logprobs }
}
