import { Type } from "@sinclair/typebox"
import type { Static } from "@sinclair/typebox"
import { nullable } from "./kinds.ts"

export const PromptTokensDetails = Type.Object({
  cached_tokens: Type.Integer(),
  created_cache_tokens: Type.Optional(nullable(Type.Integer())),
  multimodal_tokens: Type.Optional(nullable(Type.Integer())),
})

export const Usage = Type.Object({
  prompt_tokens: Type.Integer(),
  total_tokens: Type.Integer(),
  completion_tokens: Type.Integer(),
  prompt_tokens_details: Type.Optional(nullable(PromptTokensDetails)),
  completion_tokens_details: Type.Optional(nullable(Type.Object({ reasoning_tokens: Type.Integer() }))),
})
export type Usage = Static<typeof Usage>
