/** POST .../render */
import { Type } from "@sinclair/typebox"
import type { Static } from "@sinclair/typebox"
import { JsonObject, nullable } from "./kinds.ts"
import { TokenIds } from "./sampling-fields.ts"

export const RenderedPrompt = Type.Object(
  {
    request_id: Type.String(),
    model: Type.String(),
    prompt: nullable(Type.String({ description: "What the template made; null where ids were given." })),
    token_ids: TokenIds,
    token_offsets: Type.Null(),
    features: Type.Null(),
    content_parts: Type.Null(),
    sampling_params: JsonObject,
    stream: Type.Boolean(),
    priority: Type.Integer(),
    cache_salt: nullable(Type.String()),
  },
  { title: "RenderedPrompt" },
)
export type RenderedPrompt = Static<typeof RenderedPrompt>
