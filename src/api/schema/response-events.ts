/** The events of a streamed response, in OpenAI's names. */
import { Type } from "@sinclair/typebox"
import type { Static, TProperties } from "@sinclair/typebox"
import { OutputMessage, OutputText, ResponseLogprob, ResponseObject } from "./responses.ts"

function event<N extends string, T extends TProperties>(type: N, fields: T) {
  return Type.Object({ type: Type.Literal(type), sequence_number: Type.Integer(), ...fields })
}

const whole = { response: ResponseObject }
const ofItem = { output_index: Type.Integer() }
const ofPart = { ...ofItem, item_id: Type.String(), content_index: Type.Integer() }
const logprobs = Type.Array(ResponseLogprob)

export const ResponseEvent = Type.Union(
  [
    event("response.created", whole),
    event("response.queued", whole),
    event("response.in_progress", whole),
    event("response.output_item.added", { ...ofItem, item: OutputMessage }),
    event("response.content_part.added", { ...ofPart, part: OutputText }),
    event("response.output_text.delta", { ...ofPart, delta: Type.String(), logprobs }),
    event("response.output_text.done", { ...ofPart, text: Type.String(), logprobs }),
    event("response.content_part.done", { ...ofPart, part: OutputText }),
    event("response.output_item.done", { ...ofItem, item: OutputMessage }),
    event("response.completed", whole),
    event("response.incomplete", whole),
    event("response.failed", whole),
  ],
  { title: "ResponseStreamEvent" },
)
export type ResponseEvent = Static<typeof ResponseEvent>
