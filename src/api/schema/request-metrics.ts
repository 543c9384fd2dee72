import { Type } from "@sinclair/typebox"
import type { Static } from "@sinclair/typebox"
import { nullable } from "./kinds.ts"

const Ms = nullable(Type.Number())

export const RequestMetrics = Type.Object({
  time_to_first_token_ms: nullable(Type.Number({ description: "From first scheduled to the first token: prefill." })),
  generation_time_ms: nullable(Type.Number({ description: "From the first token to the last: decode." })),
  queue_time_ms: nullable(Type.Number({ description: "From queued to first scheduled." })),
  mean_itl_ms: Ms,
  tokens_per_second: nullable(Type.Number({ description: "Generated tokens by the time since first scheduled." })),
  speculative_decoding: nullable(
    Type.Object({
      num_spec_steps: Type.Integer(),
      num_draft_tokens: Type.Integer(),
      num_accepted_draft_tokens: Type.Integer(),
      mean_acceptance_length: Type.Number(),
      draft_acceptance_rate: Type.Number(),
    }),
  ),
  prompt_tokens: Type.Integer(),
  cached_tokens: Type.Integer(),
  completion_tokens: Type.Integer(),
  prompt_tokens_per_second: nullable(Type.Number({ description: "Prompt tokens computed by the time of prefill." })),
  num_preemptions: Type.Integer(),
})
export type RequestMetrics = Static<typeof RequestMetrics>

/** In a stream: nulls left out. */
export const ChunkMetrics = Type.Partial(RequestMetrics)
export type ChunkMetrics = Static<typeof ChunkMetrics>
