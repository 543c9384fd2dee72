/** POST /tokenize and /detokenize */
import { Type } from "@sinclair/typebox"
import type { Static } from "@sinclair/typebox"
import { mapOf, nullable, optional } from "./kinds.ts"
import { templateFields } from "./messages.ts"
import { TokenIds } from "./sampling-fields.ts"

const tokenizeFields = {
  model: optional(Type.String()),
  return_token_strs: optional(Type.Boolean({ default: false, description: "Adds the raw vocabulary pieces." })),
}

export const TokenizeTextRequest = Type.Object(
  { ...tokenizeFields, prompt: Type.String(), add_special_tokens: optional(Type.Boolean({ default: true })) },
  { title: "TokenizeTextRequest" },
)
export type TokenizeTextRequest = Static<typeof TokenizeTextRequest>

export const TokenizeChatRequest = Type.Object(
  { ...tokenizeFields, ...templateFields },
  { title: "TokenizeChatRequest" },
)
export type TokenizeChatRequest = Static<typeof TokenizeChatRequest>

export const TokenizeRequest = Type.Union([TokenizeTextRequest, TokenizeChatRequest], { title: "TokenizeRequest" })

export const TokenizeResponse = Type.Object(
  {
    count: Type.Integer(),
    max_model_len: Type.Integer(),
    tokens: TokenIds,
    token_strs: nullable(Type.Array(Type.String())),
  },
  { title: "TokenizeResponse" },
)
export type TokenizeResponse = Static<typeof TokenizeResponse>

export const DetokenizeRequest = Type.Object(
  { model: optional(Type.String()), tokens: TokenIds },
  { title: "DetokenizeRequest" },
)

export const DetokenizeResponse = Type.Object({ prompt: Type.String() }, { title: "DetokenizeResponse" })
export type DetokenizeResponse = Static<typeof DetokenizeResponse>

export const TokenizerInfo = Type.Object(
  {
    tokenizer_class: Type.String(),
    backend: Type.String(),
    name_or_path: Type.String(),
    is_local: Type.Boolean(),
    local_files_only: Type.Boolean(),
    model_max_length: Type.Integer(),
    truncation_side: Type.String(),
    added_tokens_decoder: mapOf(Type.String(), { description: "Special tokens by their id." }),
    chat_template: nullable(Type.String()),
  },
  { title: "TokenizerInfo", additionalProperties: true },
)
export type TokenizerInfo = Static<typeof TokenizerInfo>
