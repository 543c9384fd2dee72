/** POST /v1/chat/completions */
import { Type } from "@sinclair/typebox"
import type { Static } from "@sinclair/typebox"
import { JsonObject, nullable, optional } from "./kinds.ts"
import { PromptLogprobs } from "./logprobs.ts"
import { templateFields } from "./messages.ts"
import { CacheMiss } from "./cache-miss.ts"
import { ChunkMetrics, RequestMetrics } from "./request-metrics.ts"
import { samplingFields, TokenIds } from "./sampling-fields.ts"
import { Usage } from "./usage.ts"

export const EFFORTS = ["none", "minimal", "low", "medium", "high", "xhigh", "max"] as const

export const ChatRequest = Type.Object(
  {
    ...samplingFields,
    ...templateFields,
    max_tokens: optional(Type.Integer({ description: "max_completion_tokens wins where both are given." })),
    max_completion_tokens: optional(Type.Integer()),
    logprobs: optional(Type.Boolean({ default: false })),
    top_logprobs: optional(Type.Integer({ default: 0 })),
    // A string or an object; which ones are allowed depends on `tools` (see tools.ts).
    tool_choice: optional(Type.Union([Type.String(), JsonObject])),
    parallel_tool_calls: optional(Type.Boolean({ default: true })),
    reasoning_effort: optional(Type.Union(EFFORTS.map((effort) => Type.Literal(effort)))),
    include_reasoning: optional(Type.Boolean({ default: true })),
    echo: optional(Type.Boolean({ default: false })),
    return_prompt_text: optional(Type.Boolean({ default: false })),
  },
  { title: "ChatCompletionRequest" },
)
export type ChatRequest = Static<typeof ChatRequest>

const ChatTopLogprob = Type.Object({
  token: Type.String(),
  logprob: Type.Number(),
  bytes: nullable(Type.Array(Type.Integer())),
})
export type ChatTopLogprob = Static<typeof ChatTopLogprob>

export const ChatLogprobs = Type.Object({
  content: Type.Array(
    Type.Object({
      token: Type.String(),
      logprob: Type.Number(),
      bytes: nullable(Type.Array(Type.Integer())),
      top_logprobs: Type.Array(ChatTopLogprob),
    }),
  ),
})
export type ChatLogprobs = Static<typeof ChatLogprobs>

const FinishReason = nullable(Type.String({ description: "stop, length, tool_calls, abort or repetition" }))
const StopReason = nullable(Type.Union([Type.String(), Type.Integer()]))

const FunctionCall = Type.Object({
  id: Type.String(),
  type: Type.Literal("function"),
  function: Type.Object({ name: Type.String(), arguments: Type.String({ description: "JSON" }) }),
})
export type FunctionCall = Static<typeof FunctionCall>

/** A call's first has its id and name; its arguments are to be joined. */
const FunctionCallDelta = Type.Object({
  index: Type.Integer(),
  id: Type.Optional(Type.String()),
  type: Type.Optional(Type.Literal("function")),
  function: Type.Object({ name: Type.Optional(Type.String()), arguments: Type.String() }),
})
export type FunctionCallDelta = Static<typeof FunctionCallDelta>

export const ChatChoice = Type.Object({
  index: Type.Integer(),
  message: Type.Object({
    role: Type.String(),
    content: nullable(Type.String()),
    refusal: Type.Null(),
    annotations: Type.Null(),
    audio: Type.Null(),
    function_call: Type.Null(),
    tool_calls: Type.Optional(Type.Array(FunctionCall)),
    reasoning: nullable(Type.String()),
  }),
  logprobs: nullable(ChatLogprobs),
  finish_reason: FinishReason,
  stop_reason: StopReason,
  token_ids: nullable(TokenIds),
  routed_experts: Type.Null(),
})
export type ChatChoice = Static<typeof ChatChoice>

export const ChatResponse = Type.Object(
  {
    id: Type.String(),
    object: Type.Literal("chat.completion"),
    created: Type.Integer(),
    model: Type.String(),
    choices: Type.Array(ChatChoice),
    service_tier: Type.Null(),
    system_fingerprint: Type.String(),
    usage: Usage,
    prompt_logprobs: nullable(PromptLogprobs),
    prompt_token_ids: nullable(TokenIds),
    prompt_text: nullable(Type.String()),
    kv_transfer_params: Type.Null(),
    ec_transfer_params: Type.Null(),
    metrics: nullable(RequestMetrics),
    cache_miss: Type.Optional(CacheMiss),
  },
  { title: "ChatCompletionResponse" },
)
export type ChatResponse = Static<typeof ChatResponse>

export const ChatStreamChoice = Type.Object({
  index: Type.Integer(),
  delta: Type.Object({
    role: Type.Optional(Type.String()),
    content: Type.Optional(Type.String()),
    reasoning: Type.Optional(Type.String()),
    tool_calls: Type.Optional(Type.Array(FunctionCallDelta)),
  }),
  logprobs: nullable(ChatLogprobs),
  finish_reason: FinishReason,
  stop_reason: Type.Optional(StopReason),
  token_ids: Type.Optional(nullable(TokenIds)),
})
export type ChatStreamChoice = Static<typeof ChatStreamChoice>

export const ChatChunk = Type.Object(
  {
    id: Type.String(),
    object: Type.Literal("chat.completion.chunk"),
    created: Type.Integer(),
    model: Type.String(),
    choices: Type.Array(ChatStreamChoice),
    usage: Type.Optional(Usage),
    system_fingerprint: Type.Optional(Type.String()),
    metrics: Type.Optional(ChunkMetrics),
    cache_miss: Type.Optional(CacheMiss),
    prompt_token_ids: Type.Optional(nullable(TokenIds)),
    prompt_text: Type.Optional(nullable(Type.String())),
  },
  { title: "ChatCompletionChunk" },
)
export type ChatChunk = Static<typeof ChatChunk>
