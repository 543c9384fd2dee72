import { Type } from "@sinclair/typebox"
import type { Static } from "@sinclair/typebox"
import { nullable } from "./kinds.ts"

/** Where a prompt parts from what the prefix cache has been given before. */
export const CacheMiss = Type.Object({
  token: nullable(Type.Integer({
    description: "The prompt's first token that differs from the best of the caller's latest prompts with their " +
      "answers, or goes beyond it; null where there is none.",
  })),
  message: nullable(Type.Integer({
    description: "The chat message it is in, as the template was given them; null before the first, and for a text.",
  })),
  earlier: nullable(Type.String({ description: "What came there then; null without an earlier prompt." })),
  now: nullable(Type.String({ description: "What comes there now." })),
  cached_tokens: Type.Integer({
    description: "Found in the cache, in whole blocks: far less than `token` where the rest had been evicted.",
  }),
})
export type CacheMiss = Static<typeof CacheMiss>
