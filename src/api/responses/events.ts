/**
 * The events of a response, in OpenAI's order:
 *
 *   created, [queued,] in_progress, those of one item after the other (output-items.ts), then completed or incomplete;
 *   or failed at any point
 *
 * In the background a response is queued until the engine has begun. A refusal comes before any event.
 */
import type { Log } from "../../base/log.ts"
import type { ChoiceOutput, EngineClient } from "../../engine/engine-client.ts"
import { admitted } from "../http/admitted.ts"
import { toRequestError } from "../http/errors.ts"
import { generateAll } from "../plan/generation.ts"
import type { Generation } from "../plan/generation.ts"
import type { ResponseEvent, UnnumberedEvent } from "../schema/response-events.ts"
import { ResponseDraft } from "./response-draft.ts"
import type { ResponseJob } from "./response-job.ts"

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
): AsyncGenerator<UnnumberedEvent, void, void> {
  const isBackground = job.body.background === true
  yield { type: "response.created", response: draft.response(isBackground ? "queued" : "in_progress") }
  if (isBackground) yield { type: "response.queued", response: draft.response("queued") }
  else yield { type: "response.in_progress", response: draft.response("in_progress") }

  let hasBegun = false
  let finishReason: ChoiceOutput["finishReason"] = null
  for await (const { output } of outputs) {
    if (!hasBegun && isBackground) yield { type: "response.in_progress", response: draft.response("in_progress") }
    hasBegun = true
    yield* draft.take(output)
    finishReason = output.finishReason
  }
  if (finishReason === null || finishReason === "abort") {
    yield { type: "response.failed", response: draft.response("failed", "The request was aborted.") }
    return
  }
  yield* draft.end()
  if (finishReason === "length") yield { type: "response.incomplete", response: draft.response("incomplete") }
  else yield { type: "response.completed", response: draft.response("completed") }
}
