/** POST /v1/chat/completions/batch */
import { Type } from "@sinclair/typebox"
import type { Static } from "@sinclair/typebox"
import { ChatRequest } from "./chat.ts"
import { optional } from "./kinds.ts"
import { ChatMessage } from "./messages.ts"

/** What a conversation of its own may ask for, and one of many not. */
const {
  messages: _messages, n: _n, stream: _stream, stream_options: _streamOptions, stream_interval: _streamInterval,
  use_beam_search: _beams, length_penalty: _lengthPenalty, tools: _tools, tool_choice: _toolChoice,
  parallel_tool_calls: _calls, prompt_logprobs: _promptLogprobs, return_prompt_text: _promptText, ...shared
} = ChatRequest.properties

export const BatchChatRequest = Type.Object(
  {
    ...shared,
    messages: Type.Array(Type.Array(ChatMessage, { minItems: 1 }), {
      minItems: 1, description: "Conversations, each with one choice of the answer, in their order.",
    }),
    tool_choice: optional(Type.Literal("none")),
  },
  { title: "BatchChatCompletionRequest" },
)
export type BatchChatRequest = Static<typeof BatchChatRequest>
