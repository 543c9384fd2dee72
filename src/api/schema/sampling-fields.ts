/** The fields that completions and chat completions share: how tokens are chosen and how the answer is reported. */
import { Type } from "@sinclair/typebox"
import type { Static } from "@sinclair/typebox"
import { JsonObject, mapOf, optional, STRICT, TokenIdSchema } from "./kinds.ts"

export const StreamOptions = Type.Object({
  include_usage: optional(Type.Boolean({ description: "Sends the usage in a last chunk of its own." })),
  continuous_usage_stats: optional(
    Type.Boolean({ description: "Puts the running usage on every chunk; needs include_usage." }),
  ),
  resumable: optional(
    Type.Boolean({
      description: "Gives events ids, and lets the stream go on over another connection that sends Last-Event-ID.",
    }),
  ),
})

export const RepetitionDetection = Type.Object({
  max_pattern_size: optional(Type.Integer()),
  min_pattern_size: optional(Type.Integer()),
  min_count: optional(Type.Integer()),
})

export const samplingFields = {
  model: optional(Type.String({ description: "A served model; the first one when left out." })),
  n: optional(Type.Integer({ description: "Completions of each prompt.", default: 1 })),
  temperature: optional(Type.Number({ description: "In [0, 2]; 0 is greedy." })),
  top_p: optional(Type.Number({ description: "In (0, 1]." })),
  top_k: optional(Type.Integer({ description: "0 or -1 keeps every token." })),
  min_p: optional(Type.Number({ description: "In [0, 1]." })),
  presence_penalty: optional(Type.Number({ default: 0, description: "In [-2, 2]." })),
  frequency_penalty: optional(Type.Number({ default: 0, description: "In [-2, 2]." })),
  repetition_penalty: optional(Type.Number({ description: "Above 0; 1 changes nothing." })),
  // As text where a double cannot hold the integer (see body.ts).
  seed: optional(Type.Union([Type.Integer(), Type.String({ pattern: "^-?[0-9]+$" })])),
  stop: optional(Type.Union([Type.String(), Type.Array(Type.String())])),
  stop_token_ids: optional(Type.Array(Type.Integer())),
  include_stop_str_in_output: optional(Type.Boolean()),
  ignore_eos: optional(Type.Boolean()),
  min_tokens: optional(Type.Integer({ default: 0 })),
  logit_bias: optional(mapOf(Type.Number())),
  allowed_token_ids: optional(Type.Array(Type.Integer())),
  bad_words: optional(Type.Array(Type.String())),
  repetition_detection: optional(RepetitionDetection),
  use_beam_search: optional(Type.Boolean({ default: false, description: "Finds the n likeliest texts." })),
  length_penalty: optional(
    Type.Number({ default: 1, description: "Of beam search: the power of a text's length that divides its sum." }),
  ),
  thinking_token_budget: optional(
    Type.Integer({ [STRICT]: true, description: "Ends the model's reasoning after so many tokens; -1 never." }),
  ),
  vllm_xargs: optional(
    mapOf(Type.Unknown(), { description: "What the server's logits processors are told." }),
  ),
  skip_special_tokens: optional(Type.Boolean({ default: true })),
  spaces_between_special_tokens: optional(Type.Boolean({ default: true })),
  truncate_prompt_tokens: optional(
    Type.Integer({ minimum: -1, description: "Keeps this many prompt tokens; -1 as many as the model takes." }),
  ),
  truncation_side: optional(Type.Union([Type.Literal("left"), Type.Literal("right")])),
  prompt_logprobs: optional(Type.Integer({ description: "Likeliest tokens to tell with each prompt token; -1 all." })),
  logprob_token_ids: optional(
    Type.Array(Type.Integer(), { description: "Tokens to report instead of the likeliest; needs log-probabilities." }),
  ),
  stream: optional(Type.Boolean({ default: false })),
  stream_options: optional(StreamOptions),
  stream_interval: optional(
    Type.Integer({ minimum: 1, description: "Tokens of a chunk, at least, but for the first and the last." }),
  ),
  priority: optional(Type.Integer({ description: "Lower is served earlier, under the priority policy." })),
  request_id: optional(Type.String()),
  cache_salt: optional(Type.String({ description: "Prompts share cached blocks only with the same salt." })),
  return_tokens_as_token_ids: optional(Type.Boolean()),
  return_token_ids: optional(Type.Boolean()),
  return_cache_miss: optional(
    Type.Boolean({ description: "Where the prompt first differs from the best cached prefix; for one prompt." }),
  ),
  return_metrics: optional(Type.Boolean({ description: "Times and counts of a request for one choice." })),
  response_format: optional(JsonObject),
  structured_outputs: optional(JsonObject),
  user: optional(Type.String()),
}

export const SamplingFieldsSchema = Type.Object(samplingFields)
export type SamplingFields = Static<typeof SamplingFieldsSchema>
export const TokenIds = Type.Array(TokenIdSchema)
