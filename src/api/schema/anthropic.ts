/** POST /v1/messages: Anthropic's Messages API */
import { Type } from "@sinclair/typebox"
import type { Static } from "@sinclair/typebox"
import { CacheMiss } from "./cache-miss.ts"
import { JsonObject, nullable, optional } from "./kinds.ts"
import { samplingFields } from "./sampling-fields.ts"

const contentFields = {
  text: optional(Type.String()),
  source: optional(Type.Union([Type.String({ description: "Of a search result." }), JsonObject])),
  title: optional(Type.String()),
  tool_name: optional(Type.String()),
}

/** What a tool's result is made of; see anthropic/content.ts. */
export const AnthropicContent = Type.Object(
  { type: Type.String(), ...contentFields, content: optional(Type.Unknown()) }, { additionalProperties: true },
)
export type AnthropicContent = Static<typeof AnthropicContent>

/** One kind of block or another, by `type`; see anthropic/to-chat.ts for what each needs. */
export const AnthropicBlock = Type.Object(
  {
    type: Type.String({
      description: "text, tool_use, tool_result, thinking, search_result, a document of plain text, or what another " +
        "server made, such as redacted_thinking",
    }),
    ...contentFields,
    thinking: optional(Type.String()),
    id: optional(Type.String()),
    name: optional(Type.String()),
    input: optional(JsonObject),
    tool_use_id: optional(Type.String()),
    is_error: optional(Type.Boolean()),
    content: optional(Type.Union([Type.String(), Type.Array(AnthropicContent), JsonObject])),
    cache_control: optional(JsonObject),
  },
  { additionalProperties: true },
)
export type AnthropicBlock = Static<typeof AnthropicBlock>

export const AnthropicMessage = Type.Object({
  role: Type.Union([Type.Literal("user"), Type.Literal("assistant"), Type.Literal("system")]),
  content: Type.Union([Type.String(), Type.Array(AnthropicBlock)]),
})
export type AnthropicMessage = Static<typeof AnthropicMessage>

const AnthropicTool = Type.Object(
  {
    type: optional(Type.String({ description: "custom" })),
    name: Type.String(),
    description: optional(Type.String()),
    input_schema: optional(JsonObject),
  },
  { additionalProperties: true },
)
export type AnthropicTool = Static<typeof AnthropicTool>

/** What decides how many tokens the prompt has. */
const promptFields = {
  model: optional(Type.String({ description: "A served model; the first one when left out." })),
  messages: Type.Array(AnthropicMessage),
  system: optional(Type.Union([Type.String(), Type.Array(AnthropicBlock)])),
  tools: optional(Type.Array(AnthropicTool)),
  tool_choice: optional(
    Type.Object(
      { type: Type.String(), name: optional(Type.String()), disable_parallel_tool_use: optional(Type.Boolean()) },
      { additionalProperties: true },
    ),
  ),
  thinking: optional(
    Type.Object(
      { type: Type.String({ description: "enabled, adaptive or disabled" }), budget_tokens: optional(Type.Integer()) },
      { additionalProperties: true },
    ),
  ),
  output_config: optional(
    Type.Object({ effort: optional(Type.String()), format: optional(JsonObject) }, { additionalProperties: true }),
  ),
  cache_control: optional(JsonObject),
  context_management: optional(Type.Unknown({ description: "Ignored: the conversation stays as it was sent." })),
  mcp_servers: optional(Type.Array(JsonObject, { description: "None: there are no built-in tools." })),
  speed: optional(Type.String({ description: "Ignored." })),
  thread: optional(Type.Unknown({ description: "None: conversations are not kept between messages." })),
  chat_template_kwargs: optional(JsonObject),
}

export const CountTokensRequest = Type.Object(promptFields, { title: "CountTokensRequest" })
export type CountTokensRequest = Static<typeof CountTokensRequest>

export const MessagesRequest = Type.Object(
  {
    ...promptFields,
    max_tokens: Type.Integer({ minimum: 1 }),
    stop_sequences: optional(Type.Array(Type.String())),
    temperature: optional(Type.Number({ description: "In [0, 2]; 0 is greedy." })),
    top_k: optional(Type.Integer()),
    top_p: optional(Type.Number()),
    stream: optional(Type.Boolean({ default: false })),
    metadata: optional(Type.Object({ user_id: optional(Type.String()) }, { additionalProperties: true })),
    service_tier: optional(Type.String({ description: "Ignored." })),
    truncate_prompt_tokens: samplingFields.truncate_prompt_tokens,
    truncation_side: samplingFields.truncation_side,
    priority: samplingFields.priority,
    cache_salt: samplingFields.cache_salt,
    vllm_xargs: samplingFields.vllm_xargs,
    return_cache_miss: samplingFields.return_cache_miss,
  },
  { title: "MessagesRequest" },
)
export type MessagesRequest = Static<typeof MessagesRequest>

export const AnthropicUsage = Type.Object({
  input_tokens: Type.Integer({ description: "Of the prompt, those found in the cache left out." }),
  output_tokens: Type.Integer(),
  cache_creation_input_tokens: Type.Integer(),
  cache_read_input_tokens: Type.Integer(),
})
export type AnthropicUsage = Static<typeof AnthropicUsage>

const TextBlock = Type.Object({ type: Type.Literal("text"), text: Type.String() })
const ThinkingBlock = Type.Object({
  type: Type.Literal("thinking"), thinking: Type.String(),
  signature: Type.String({ description: "Says nothing here; clients send it back." }),
})
const ToolUseBlock = Type.Object({
  type: Type.Literal("tool_use"), id: Type.String(), name: Type.String(), input: JsonObject,
})
export const ContentBlock = Type.Union([TextBlock, ThinkingBlock, ToolUseBlock])
export type ContentBlock = Static<typeof ContentBlock>

const BlockDelta = Type.Union([
  Type.Object({ type: Type.Literal("text_delta"), text: Type.String() }),
  Type.Object({ type: Type.Literal("thinking_delta"), thinking: Type.String() }),
  Type.Object({ type: Type.Literal("signature_delta"), signature: Type.String() }),
  Type.Object({ type: Type.Literal("input_json_delta"), partial_json: Type.String() }),
])
export type BlockDelta = Static<typeof BlockDelta>

export const StopReason = Type.Union([
  Type.Literal("end_turn"), Type.Literal("max_tokens"), Type.Literal("stop_sequence"), Type.Literal("tool_use"),
])
export type StopReason = Static<typeof StopReason>

export const MessageObject = Type.Object(
  {
    id: Type.String(),
    type: Type.Literal("message"),
    role: Type.Literal("assistant"),
    model: Type.String(),
    content: Type.Array(ContentBlock),
    stop_reason: nullable(StopReason),
    stop_sequence: nullable(Type.String()),
    usage: AnthropicUsage,
    cache_miss: Type.Optional(CacheMiss),
  },
  { title: "Message" },
)
export type MessageObject = Static<typeof MessageObject>

const inBlock = { index: Type.Integer() }

export const MessageEvent = Type.Union(
  [
    Type.Object({ type: Type.Literal("message_start"), message: MessageObject }),
    Type.Object({ type: Type.Literal("content_block_start"), ...inBlock, content_block: ContentBlock }),
    Type.Object({ type: Type.Literal("ping") }),
    Type.Object({ type: Type.Literal("content_block_delta"), ...inBlock, delta: BlockDelta }),
    Type.Object({ type: Type.Literal("content_block_stop"), ...inBlock }),
    Type.Object({
      type: Type.Literal("message_delta"),
      delta: Type.Object({ stop_reason: nullable(StopReason), stop_sequence: nullable(Type.String()) }),
      usage: AnthropicUsage,
    }),
    Type.Object({ type: Type.Literal("message_stop") }),
  ],
  { title: "MessageStreamEvent" },
)
export type MessageEvent = Static<typeof MessageEvent>

export const CountTokensResponse = Type.Object(
  {
    input_tokens: Type.Integer(),
    context_management: Type.Object({ original_input_tokens: Type.Integer() }),
  },
  { title: "CountTokensResponse" },
)
export type CountTokensResponse = Static<typeof CountTokensResponse>

export const AnthropicError = Type.Object(
  {
    type: Type.Literal("error"),
    error: Type.Object({
      type: Type.String(),
      message: Type.String(),
      details: Type.Optional(Type.Object({ error_code: Type.String() })),
    }),
  },
  { title: "AnthropicError" },
)
export type AnthropicError = Static<typeof AnthropicError>
