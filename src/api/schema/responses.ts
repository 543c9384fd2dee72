/** POST /v1/responses */
import { Type } from "@sinclair/typebox"
import type { Static } from "@sinclair/typebox"
import { JsonObject, mapOf, nullable, optional } from "./kinds.ts"
import { EFFORTS } from "./chat.ts"
import { CacheMiss } from "./cache-miss.ts"
import { RequestMetrics } from "./request-metrics.ts"
import { samplingFields } from "./sampling-fields.ts"

/** What other endpoints take and this one has in another form, or not at all: see responses/refusals.ts. */
const {
  n: _n, stream_options: _streamOptions, response_format: _responseFormat, prompt_logprobs: _promptLogprobs,
  return_token_ids: _ids, return_tokens_as_token_ids: _asIds, ...responseSampling
} = samplingFields

/** Text, or a picture or a file, which are refused. */
export const ResponseInputPart = Type.Object(
  { type: Type.Optional(Type.String()), text: optional(Type.String()) },
  { additionalProperties: true },
)
export type ResponseInputPart = Static<typeof ResponseInputPart>

const PartList = Type.Array(ResponseInputPart)

/** One kind of item or another, by `type`; see responses/input.ts for what each needs. */
export const ResponseInputItem = Type.Object(
  {
    type: optional(
      Type.String({
        description: "message (default), function_call, function_call_output, reasoning, item_reference, or what " +
          "another server or its tools made, such as custom_tool_call",
      }),
    ),
    id: optional(Type.String()),
    status: optional(Type.String()),
    role: optional(Type.String({ description: "user, assistant, system or developer" })),
    content: optional(Type.Union([Type.String(), PartList])),
    call_id: optional(Type.String()),
    name: optional(Type.String()),
    namespace: optional(Type.String({ description: "Of a function of a namespace." })),
    arguments: optional(Type.Union([Type.String({ description: "JSON" }), JsonObject])),
    output: optional(Type.Union([Type.String(), PartList, JsonObject])),
    summary: optional(PartList),
    encrypted_content: optional(Type.String()),
  },
  { additionalProperties: true },
)
export type ResponseInputItem = Static<typeof ResponseInputItem>

const toolFields = {
  name: optional(Type.String()),
  description: optional(Type.String()),
  parameters: optional(JsonObject),
  strict: optional(Type.Boolean()),
}

export const ResponseTool = Type.Object(
  {
    type: Type.String({ description: "function, or namespace with functions in it; others are left out" }),
    ...toolFields,
    tools: optional(
      Type.Array(Type.Object({ type: Type.String(), ...toolFields }, { additionalProperties: true })),
    ),
  },
  { additionalProperties: true },
)
export type ResponseTool = Static<typeof ResponseTool>

const Metadata = mapOf(Type.String())

/** What decides how many tokens the prompt has. */
const promptFields = {
  model: samplingFields.model,
  instructions: optional(Type.String({ description: "A system message for this response alone." })),
  previous_response_id: optional(Type.String({ description: "Goes on after that response." })),
  tools: optional(Type.Array(ResponseTool)),
  tool_choice: optional(Type.Union([Type.String(), JsonObject])),
  parallel_tool_calls: optional(Type.Boolean({ default: true })),
  reasoning: optional(
    Type.Object({
      effort: optional(Type.Union(EFFORTS.map((effort) => Type.Literal(effort)))),
      summary: optional(Type.String({ description: "Ignored: the reasoning is told as it is." })),
    }, { additionalProperties: true }),
  ),
  text: optional(
    Type.Object({
      format: optional(JsonObject), verbosity: optional(Type.String({ description: "Ignored." })),
    }, { additionalProperties: true }),
  ),
  truncation: optional(
    Type.Union([Type.Literal("disabled"), Type.Literal("auto")], {
      default: "disabled", description: "auto drops the oldest items of a conversation that is too long.",
    }),
  ),
  context_management: optional(Type.Unknown({ description: "Ignored: the conversation stays as it was sent." })),
  documents: optional(Type.Array(JsonObject)),
  chat_template: optional(Type.String()),
  chat_template_kwargs: optional(JsonObject),
}

const ResponseInput = Type.Union([Type.String(), Type.Array(ResponseInputItem)])

export const ResponsesRequest = Type.Object(
  {
    ...responseSampling,
    ...promptFields,
    input: ResponseInput,
    max_output_tokens: optional(Type.Integer()),
    max_tool_calls: optional(Type.Integer({ minimum: 1, description: "Of built-in tools, which there are none of." })),
    include_reasoning: optional(Type.Boolean({ default: true })),
    include: optional(Type.Array(Type.String(), { description: "message.output_text.logprobs" })),
    top_logprobs: optional(Type.Integer({ minimum: 0, description: "Needs the log-probabilities in `include`." })),
    store: optional(Type.Boolean({ default: true })),
    background: optional(Type.Boolean({ default: false })),
    metadata: optional(Metadata),
    service_tier: optional(Type.String({ default: "auto", description: "Ignored." })),
    safety_identifier: optional(Type.String()),
    prompt_cache_key: optional(Type.String()),
    stream_options: optional(
      Type.Object({ include_obfuscation: optional(Type.Boolean()) }, { additionalProperties: true }),
    ),
  },
  { title: "ResponsesRequest" },
)
export type ResponsesRequest = Static<typeof ResponsesRequest>

export const InputTokensRequest = Type.Object(
  { ...promptFields, input: optional(ResponseInput) }, { title: "InputTokensRequest" },
)
export type InputTokensRequest = Static<typeof InputTokensRequest>

export const InputTokens = Type.Object(
  {
    object: Type.Literal("response.input_tokens"),
    input_tokens: Type.Integer({ description: "Before `truncation` drops any." }),
  },
  { title: "InputTokens" },
)
export type InputTokens = Static<typeof InputTokens>

const TopLogprob = Type.Object({
  token: Type.String(), logprob: Type.Number(), bytes: nullable(Type.Array(Type.Integer())),
})

export const ResponseLogprob = Type.Composite([TopLogprob, Type.Object({ top_logprobs: Type.Array(TopLogprob) })])
export type ResponseLogprob = Static<typeof ResponseLogprob>

export const OutputText = Type.Object({
  type: Type.Literal("output_text"),
  text: Type.String(),
  annotations: Type.Array(JsonObject),
  logprobs: nullable(Type.Array(ResponseLogprob)),
})
export type OutputText = Static<typeof OutputText>

const ItemStatus = Type.Union([Type.Literal("in_progress"), Type.Literal("completed"), Type.Literal("incomplete")])
export type ItemStatus = Static<typeof ItemStatus>

export const OutputMessage = Type.Object({
  id: Type.String(),
  type: Type.Literal("message"),
  role: Type.Literal("assistant"),
  status: ItemStatus,
  content: Type.Array(OutputText),
  phase: Type.Null(),
})
export type OutputMessage = Static<typeof OutputMessage>

export const ReasoningText = Type.Object({ type: Type.Literal("reasoning_text"), text: Type.String() })
export type ReasoningText = Static<typeof ReasoningText>

export const OutputReasoning = Type.Object({
  id: Type.String(),
  type: Type.Literal("reasoning"),
  summary: Type.Array(JsonObject),
  content: Type.Array(ReasoningText),
  encrypted_content: Type.Null(),
  status: ItemStatus,
})
export type OutputReasoning = Static<typeof OutputReasoning>

export const OutputCall = Type.Object({
  id: Type.String(),
  type: Type.Literal("function_call"),
  call_id: Type.String(),
  name: Type.String(),
  arguments: Type.String({ description: "JSON" }),
  async: Type.Null(),
  caller: Type.Null(),
  namespace: nullable(Type.String({ description: "Of the function, where it has one." })),
  status: ItemStatus,
})
export type OutputCall = Static<typeof OutputCall>

export const OutputItem = Type.Union([OutputMessage, OutputReasoning, OutputCall])
export type OutputItem = Static<typeof OutputItem>

const PerTurn = Type.Array(Type.Integer())

export const ResponseUsage = Type.Object({
  input_tokens: Type.Integer(),
  input_tokens_details: Type.Object({
    cached_tokens: Type.Integer(),
    cache_write_tokens: Type.Integer(),
    input_tokens_per_turn: PerTurn,
    cached_tokens_per_turn: PerTurn,
  }),
  output_tokens: Type.Integer(),
  output_tokens_details: Type.Object({
    reasoning_tokens: Type.Integer(),
    tool_output_tokens: Type.Integer(),
    output_tokens_per_turn: PerTurn,
    tool_output_tokens_per_turn: PerTurn,
  }),
  total_tokens: Type.Integer(),
})
export type ResponseUsage = Static<typeof ResponseUsage>

export const ResponseStatus = Type.Union(
  (["queued", "in_progress", "completed", "incomplete", "failed", "cancelled"] as const).map((s) => Type.Literal(s)),
)
export type ResponseStatus = Static<typeof ResponseStatus>

export const ResponseObject = Type.Object(
  {
    id: Type.String(),
    object: Type.Literal("response"),
    created_at: Type.Integer(),
    completed_at: nullable(Type.Integer()),
    status: ResponseStatus,
    error: nullable(Type.Object({ code: Type.String(), message: Type.String() })),
    incomplete_details: nullable(Type.Object({ reason: Type.Literal("max_output_tokens") })),
    instructions: nullable(Type.String()),
    metadata: nullable(Metadata),
    model: Type.String(),
    output: Type.Array(OutputItem),
    parallel_tool_calls: Type.Boolean(),
    temperature: Type.Number(),
    top_p: Type.Number(),
    presence_penalty: Type.Number(),
    frequency_penalty: Type.Number(),
    tool_choice: Type.Union([Type.String(), JsonObject]),
    tools: Type.Array(JsonObject),
    background: Type.Boolean(),
    store: Type.Boolean(),
    max_output_tokens: nullable(Type.Integer()),
    max_tool_calls: nullable(Type.Integer()),
    previous_response_id: nullable(Type.String()),
    prompt: Type.Null(),
    prompt_cache_key: nullable(Type.String()),
    safety_identifier: nullable(Type.String()),
    reasoning: nullable(JsonObject),
    service_tier: Type.String(),
    text: nullable(JsonObject),
    top_logprobs: nullable(Type.Integer()),
    truncation: Type.String(),
    usage: nullable(ResponseUsage),
    metrics: Type.Optional(nullable(RequestMetrics)),
    cache_miss: Type.Optional(CacheMiss),
    user: nullable(Type.String()),
    kv_transfer_params: Type.Null(),
    ec_transfer_params: Type.Null(),
    input_messages: Type.Null(),
    output_messages: Type.Null(),
  },
  { title: "Response" },
)
export type ResponseObject = Static<typeof ResponseObject>

/** An item of a response's input or output as it is listed: each kind has fields of its own. */
export const ResponseItem = Type.Object({ id: Type.String(), type: Type.String() }, { additionalProperties: true })
export type ResponseItem = Static<typeof ResponseItem> & Record<string, unknown>

export const ResponseItemList = Type.Object(
  {
    object: Type.Literal("list"),
    data: Type.Array(ResponseItem),
    first_id: nullable(Type.String()),
    last_id: nullable(Type.String()),
    has_more: Type.Boolean(),
  },
  { title: "ResponseItemList" },
)
export type ResponseItemList = Static<typeof ResponseItemList>

export const DeletedResponse = Type.Object(
  { id: Type.String(), object: Type.Literal("response"), deleted: Type.Literal(true) },
  { title: "DeletedResponse" },
)
export type DeletedResponse = Static<typeof DeletedResponse>
