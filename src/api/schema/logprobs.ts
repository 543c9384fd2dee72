/** Log-probabilities of the prompt, as completions and chat completions tell them. */
import { Type } from "@sinclair/typebox"
import type { Static } from "@sinclair/typebox"
import { mapOf, nullable } from "./kinds.ts"

const PromptToken = Type.Object({
  logprob: Type.Number(),
  rank: Type.Integer({ description: "1 is the likeliest." }),
  decoded_token: Type.String(),
})

export const PromptLogprobs = Type.Array(nullable(mapOf(PromptToken)), {
  description: "By prompt token: token ids to what is known of them; null for the first.",
})
export type PromptLogprobs = Static<typeof PromptLogprobs>
