/** GET /v1/models */
import { Type } from "@sinclair/typebox"
import type { Static } from "@sinclair/typebox"
import { nullable } from "./kinds.ts"

const ModelPermission = Type.Object({
  id: Type.String(),
  object: Type.Literal("model_permission"),
  created: Type.Integer(),
  allow_create_engine: Type.Boolean(),
  allow_sampling: Type.Boolean(),
  allow_logprobs: Type.Boolean(),
  allow_search_indices: Type.Boolean(),
  allow_view: Type.Boolean(),
  allow_fine_tuning: Type.Boolean(),
  organization: Type.String(),
  group: nullable(Type.String()),
  is_blocking: Type.Boolean(),
})

export const ModelCard = Type.Object(
  {
    id: Type.String(),
    object: Type.Literal("model"),
    created: Type.Integer(),
    owned_by: Type.String(),
    root: Type.String(),
    parent: nullable(Type.String()),
    max_model_len: nullable(Type.Integer()),
    permission: Type.Array(ModelPermission),
    type: Type.Literal("model"),
    display_name: Type.String(),
    created_at: Type.String({ description: "`created` in RFC 3339." }),
    max_input_tokens: Type.Integer({ description: "Of the prompt and its answer together." }),
    max_tokens: Type.Integer({ description: "Of an answer; a larger bound is accepted and cut." }),
  },
  { title: "Model" },
)
export type ModelCard = Static<typeof ModelCard>

export const ModelList = Type.Object(
  {
    object: Type.Literal("list"),
    data: Type.Array(ModelCard),
    has_more: Type.Literal(false),
    first_id: nullable(Type.String()),
    last_id: nullable(Type.String()),
  },
  { title: "ModelList" },
)
export type ModelList = Static<typeof ModelList>
