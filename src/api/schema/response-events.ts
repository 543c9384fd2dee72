/** The events of a streamed response, in OpenAI's names. */
import { Type } from "@sinclair/typebox"
import type { Static, TProperties } from "@sinclair/typebox"
import { OutputItem, OutputText, ReasoningText, ResponseLogprob, ResponseObject } from "./responses.ts"

function event<N extends string, T extends TProperties>(type: N, fields: T) {
  return Type.Object({ type: Type.Literal(type), sequence_number: Type.Integer(), ...fields })
}

const whole = { response: ResponseObject }
const ofItem = { output_index: Type.Integer() }
const ofPart = { ...ofItem, item_id: Type.String(), content_index: Type.Integer() }
const part = Type.Union([OutputText, ReasoningText])
const ofCall = { ...ofItem, item_id: Type.String() }
const logprobs = Type.Array(ResponseLogprob)

export const ResponseEvent = Type.Union(
  [
    event("response.created", whole),
    event("response.queued", whole),
    event("response.in_progress", whole),
    event("response.output_item.added", { ...ofItem, item: OutputItem }),
    event("response.content_part.added", { ...ofPart, part }),
    event("response.output_text.delta", { ...ofPart, delta: Type.String(), logprobs }),
    event("response.output_text.done", { ...ofPart, text: Type.String(), logprobs }),
    event("response.reasoning_text.delta", { ...ofPart, delta: Type.String() }),
    event("response.reasoning_text.done", { ...ofPart, text: Type.String() }),
    event("response.function_call_arguments.delta", { ...ofCall, delta: Type.String() }),
    event("response.function_call_arguments.done", { ...ofCall, name: Type.String(), arguments: Type.String() }),
    event("response.content_part.done", { ...ofPart, part }),
    event("response.output_item.done", { ...ofItem, item: OutputItem }),
    event("response.completed", whole),
    event("response.incomplete", whole),
    event("response.failed", whole),
  ],
  { title: "ResponseStreamEvent" },
)
export type ResponseEvent = Static<typeof ResponseEvent>

/** An event before it has its number. */
export type UnnumberedEvent =
  ResponseEvent extends infer E ? (E extends ResponseEvent ? Omit<E, "sequence_number"> : never) : never
