/** What a chat request is made of: messages with their parts, and tools. */
import { Type } from "@sinclair/typebox"
import type { Static } from "@sinclair/typebox"
import { JsonObject, optional } from "./kinds.ts"

export const ContentPart = Type.Object(
  { type: Type.Optional(Type.String()), text: optional(Type.String()) },
  { additionalProperties: true },
)
export type ContentPart = Static<typeof ContentPart>

export const ToolCall = Type.Object(
  {
    id: optional(Type.String()),
    type: optional(Type.String()),
    function: Type.Object({
      name: Type.String(),
      arguments: Type.Optional(Type.Unknown({ description: "An object, or its JSON; anything else counts as empty." })),
    }),
  },
  { additionalProperties: true },
)

export const ChatMessage = Type.Object(
  {
    role: Type.String({ description: "system, developer, user, assistant, tool, or one the template knows" }),
    content: optional(Type.Union([Type.String(), Type.Array(Type.Union([Type.String(), ContentPart]))])),
    name: optional(Type.String()),
    tool_calls: optional(Type.Array(ToolCall)),
    tool_call_id: optional(Type.String()),
    reasoning: optional(Type.String()),
    reasoning_content: optional(Type.String()),
  },
  { additionalProperties: true },
)
export type ChatMessage = Static<typeof ChatMessage>

export const Tool = Type.Object(
  {
    type: Type.Optional(Type.Literal("function")),
    function: Type.Object({ name: Type.String() }, { additionalProperties: true }),
  },
  { additionalProperties: true },
)

/** Of a request. */
export type Tools = Static<typeof Tool>[]

/** The fields that decide how messages become a prompt; /tokenize takes them too. */
export const templateFields = {
  messages: Type.Array(ChatMessage),
  tools: optional(Type.Array(Tool)),
  documents: optional(Type.Array(JsonObject)),
  add_generation_prompt: optional(Type.Boolean({ default: true })),
  continue_final_message: optional(Type.Boolean({ default: false })),
  add_special_tokens: optional(Type.Boolean({ default: false })),
  chat_template: optional(Type.String()),
  chat_template_kwargs: optional(JsonObject),
  media_io_kwargs: optional(JsonObject),
  mm_processor_kwargs: optional(JsonObject),
}

export const TemplateFieldsSchema = Type.Object(templateFields)
export type TemplateFields = Static<typeof TemplateFieldsSchema>
