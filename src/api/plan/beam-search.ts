/** `use_beam_search`: what may be asked for with it. */
import { RequestError } from "../../base/errors.ts"
import type { SamplingParams } from "../../core/sampling-params.ts"
import type { BeamSearch, EngineClient } from "../../engine/engine-client.ts"
import type { SamplingFields } from "../schema/sampling-fields.ts"

/** Parameters that change single tokens' chances or end single texts; each with whether a request sets it. */
const UNUSED: readonly (readonly [field: string, isSet: (sampling: SamplingParams) => boolean])[] = [
  ["stop", ({ stop }) => stop.length > 0],
  ["min_tokens", ({ minTokens }) => minTokens > 0],
  ["presence_penalty", ({ presencePenalty }) => presencePenalty !== 0],
  ["frequency_penalty", ({ frequencyPenalty }) => frequencyPenalty !== 0],
  ["logit_bias", ({ logitBias }) => logitBias !== null && logitBias.size > 0],
  ["bad_words", ({ badWords }) => badWords !== null],
  ["repetition_detection", ({ repetitionDetection }) => repetitionDetection !== null],
  ["thinking_token_budget", ({ thinkingBudget }) => thinkingBudget !== null],
  ["logprob_token_ids", ({ logprobTokenIds }) => logprobTokenIds !== null],
  ["prompt_logprobs", ({ promptLogprobs }) => promptLogprobs !== null],
  ["structured_outputs", ({ grammar }) => grammar !== null],
  ["vllm_xargs", ({ extraArgs }) => extraArgs !== null],
]

/** Null where no beam search is asked for. Errors: `RequestError` for what it cannot honour. */
export function beamSearchFor(
  fields: SamplingFields, sampling: SamplingParams, { model }: EngineClient,
): BeamSearch | null {
  if (!(fields.use_beam_search ?? false)) return null
  if (fields.stream ?? false) throw new RequestError("Beam search cannot be streamed: its texts change until its end.")
  const unused = UNUSED.find(([, isSet]) => isSet(sampling))?.[0] ?? ownFields(fields)
  if (unused !== undefined) {
    throw new RequestError(`${unused} has no effect on beam search: leave it out.`, { param: unused })
  }
  const limit = model.maxLogprobs === -1 ? model.vocabSize : model.maxLogprobs
  if (2 * sampling.n > limit) {
    throw new RequestError(
      `Beam search of width n=${sampling.n} looks at ${2 * sampling.n} likeliest tokens; at most ${limit} are allowed.`,
      { param: "n" },
    )
  }
  if (model.logprobsMode.endsWith("logits")) {
    throw new RequestError(`Beam search needs log-probabilities; this server tells ${model.logprobsMode}.`)
  }
  const lengthPenalty = fields.length_penalty ?? 1
  if (Number.isFinite(lengthPenalty)) return { lengthPenalty }
  throw new RequestError(`length_penalty must be finite, got ${lengthPenalty}.`, { param: "length_penalty" })
}

/** What the model's own defaults set too, and a request's own value alone counts. */
function ownFields(fields: SamplingFields): string | undefined {
  if ((fields.stop_token_ids ?? []).length > 0) return "stop_token_ids"
  return (fields.repetition_penalty ?? 1) !== 1 ? "repetition_penalty" : undefined
}
