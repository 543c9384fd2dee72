/**
 * The events of a response, in OpenAI's order:
 *
 *   created, [queued,] in_progress, output_item.added, content_part.added, output_text.delta ...,
 *   output_text.done, content_part.done, output_item.done, then completed or incomplete; or failed at any point
 *
 * In the background a response is queued until the engine has begun. Whoever is refused hears it before any event.
 */
import type { Log } from "../../base/log.ts"
import type { ChoiceOutput, EngineClient } from "../../engine/engine-client.ts"
import { admitted } from "../admitted.ts"
import { toRequestError } from "../errors.ts"
import { generateAll } from "../generation.ts"
import type { Generation } from "../generation.ts"
import type { ResponseEvent } from "../schema/response-events.ts"
import { ResponseDraft } from "./response-draft.ts"
import type { ResponseJob } from "./response-job.ts"

/** An event before it has its number. */
type Unnumbered = ResponseEvent extends infer E ? (E extends ResponseEvent ? Omit<E, "sequence_number"> : never) : never

export interface ResponseRun {
  readonly job: ResponseJob
  readonly draft: ResponseDraft
  readonly generation: Generation
  /** Whether anybody reads the text while it is being made. */
  readonly isStreamed: boolean
}

/**
 * Errors: those that the engine has before the first event. Later ones are the last event. Aborting `signal` ends the
 * events without a last one.
 */
export async function* responseEvents(
  client: EngineClient, run: ResponseRun, signal: AbortSignal, log: Log,
): AsyncGenerator<ResponseEvent, void, void> {
  const { draft, generation, isStreamed } = run
  const outputs = await admitted(generateAll(client, generation, isStreamed ? "delta" : "final", signal))
  let sequence_number = 0
  try {
    for await (const event of events(run, outputs)) {
      if (signal.aborted) return
      yield { ...event, sequence_number: sequence_number++ } as ResponseEvent
    }
  } catch (error) {
    if (signal.aborted) return
    const response = draft.response("failed", toRequestError(error, log).message)
    yield { type: "response.failed", sequence_number, response }
  }
}

async function* events(
  { job, draft }: ResponseRun, outputs: AsyncGenerator<{ output: ChoiceOutput }, void, void>,
): AsyncGenerator<Unnumbered, void, void> {
  const isBackground = job.body.background === true
  yield { type: "response.created", response: draft.response(isBackground ? "queued" : "in_progress") }
  if (isBackground) yield { type: "response.queued", response: draft.response("queued") }
  else yield { type: "response.in_progress", response: draft.response("in_progress") }

  const place = { output_index: 0, item_id: draft.itemId, content_index: 0 }
  let hasBegun = false
  let finishReason: ChoiceOutput["finishReason"] = null
  for await (const { output } of outputs) {
    if (!hasBegun) {
      if (isBackground) yield { type: "response.in_progress", response: draft.response("in_progress") }
      yield { type: "response.output_item.added", output_index: 0, item: draft.item("in_progress") }
      yield { type: "response.content_part.added", ...place, part: { ...draft.part(), logprobs: [] } }
      hasBegun = true
    }
    const logprobs = draft.take(output)
    const { text: delta } = output
    if (delta !== "" || logprobs.length > 0) yield { type: "response.output_text.delta", ...place, delta, logprobs }
    finishReason = output.finishReason
  }
  if (finishReason === null || finishReason === "abort") {
    yield { type: "response.failed", response: draft.response("failed", "The request was aborted.") }
    return
  }
  yield { type: "response.output_text.done", ...place, text: draft.text, logprobs: draft.logprobs }
  yield { type: "response.content_part.done", ...place, part: draft.part() }
  yield { type: "response.output_item.done", output_index: 0, item: draft.item("completed") }
  if (finishReason === "length") yield { type: "response.incomplete", response: draft.response("incomplete") }
  else yield { type: "response.completed", response: draft.response("completed") }
}
