/** POST /v1/completions */
import { Type } from "@sinclair/typebox"
import type { Static } from "@sinclair/typebox"
import { mapOf, nullable, optional } from "./kinds.ts"
import { PromptLogprobs } from "./logprobs.ts"
import { CacheMiss } from "./cache-miss.ts"
import { ChunkMetrics, RequestMetrics } from "./request-metrics.ts"
import { samplingFields, TokenIds } from "./sampling-fields.ts"
import { Usage } from "./usage.ts"

export const CompletionRequest = Type.Object(
  {
    ...samplingFields,
    prompt: optional(
      Type.Union([Type.String(), Type.Array(Type.String()), TokenIds, Type.Array(TokenIds)], {
        description: "A text, token ids, or a list of either.",
      }),
    ),
    max_tokens: optional(Type.Integer({ default: 16 })),
    echo: optional(Type.Boolean({ description: "Puts the prompt before the generated text." })),
    logprobs: optional(Type.Integer({ description: "Log-probabilities of this many likeliest tokens." })),
    add_special_tokens: optional(Type.Boolean({ default: true })),
  },
  { title: "CompletionRequest" },
)
export type CompletionRequest = Static<typeof CompletionRequest>

export const CompletionLogprobs = Type.Object({
  text_offset: Type.Array(Type.Integer()),
  token_logprobs: Type.Array(nullable(Type.Number())),
  tokens: Type.Array(Type.String()),
  top_logprobs: Type.Array(nullable(mapOf(Type.Number()))),
})
export type CompletionLogprobs = Static<typeof CompletionLogprobs>

const FinishReason = nullable(Type.String({ description: "stop, length, abort or repetition" }))
const StopReason = nullable(Type.Union([Type.String(), Type.Integer()]))

export const CompletionChoice = Type.Object({
  index: Type.Integer(),
  text: Type.String(),
  logprobs: nullable(CompletionLogprobs),
  finish_reason: FinishReason,
  stop_reason: StopReason,
  token_ids: nullable(TokenIds),
  prompt_logprobs: nullable(PromptLogprobs),
  prompt_token_ids: nullable(TokenIds),
  routed_experts: Type.Null(),
})
export type CompletionChoice = Static<typeof CompletionChoice>

export const CompletionResponse = Type.Object(
  {
    id: Type.String(),
    object: Type.Literal("text_completion"),
    created: Type.Integer(),
    model: Type.String(),
    choices: Type.Array(CompletionChoice),
    service_tier: Type.Null(),
    system_fingerprint: Type.String(),
    usage: Usage,
    kv_transfer_params: Type.Null(),
    ec_transfer_params: Type.Null(),
    metrics: nullable(RequestMetrics),
    cache_miss: Type.Optional(CacheMiss),
  },
  { title: "CompletionResponse" },
)
export type CompletionResponse = Static<typeof CompletionResponse>

export const CompletionStreamChoice = Type.Object({
  index: Type.Integer(),
  text: Type.String(),
  logprobs: nullable(CompletionLogprobs),
  finish_reason: FinishReason,
  stop_reason: StopReason,
  prompt_token_ids: nullable(TokenIds),
  token_ids: nullable(TokenIds),
})

export const CompletionChunk = Type.Object(
  {
    id: Type.String(),
    object: Type.Literal("text_completion"),
    created: Type.Integer(),
    model: Type.String(),
    choices: Type.Array(CompletionStreamChoice),
    usage: Type.Optional(Usage),
    system_fingerprint: Type.Optional(Type.String()),
    metrics: Type.Optional(ChunkMetrics),
    cache_miss: Type.Optional(CacheMiss),
  },
  { title: "CompletionChunk" },
)
export type CompletionChunk = Static<typeof CompletionChunk>
