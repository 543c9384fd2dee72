/** Makes a response: to be waited for, streamed, or in the background; stored or not. */
import { RequestError } from "../../base/errors.ts"
import type { ApiContext } from "../context.ts"
import { ClientGoneError } from "../http/errors.ts"
import { abortWith } from "../plan/generation.ts"
import { generationFor, streamed } from "../http/opening.ts"
import type { ResponseEvent } from "../schema/response-events.ts"
import type { ResponsesRequest } from "../schema/responses.ts"
import { namedEvent, OPENAI_SSE } from "../http/sse.ts"
import type { SseDialect } from "../http/sse.ts"
import { EventLog } from "./event-log.ts"
import { responseEvents } from "./events.ts"
import type { ResponseRun } from "./events.ts"
import { planResponse, refuseTaken } from "./plan.ts"
import { ResponseDraft } from "./response-draft.ts"
import { StoredResponse } from "./store.ts"
import type { ResponseStore } from "./store.ts"

const RESPONSES_SSE: SseDialect = { ...OPENAI_SSE, event: namedEvent, end: "" }
const LAST_EVENTS: ReadonlySet<string> = new Set(["response.completed", "response.incomplete", "response.failed"])

type Events = AsyncGenerator<ResponseEvent, void, void>

/** Errors: `RequestError` for what cannot be honoured, and when there is no room to run or to store it. */
export async function respond(
  context: ApiContext, store: ResponseStore, request: Request, body: ResponsesRequest,
): Promise<Response> {
  const { client, options } = context
  const job = await planResponse(context, request, body, store)
  const isBackground = body.background === true
  const isStreamed = body.stream === true
  const draft = new ResponseDraft(job)
  const generation = generationFor(context, request, body, job.id, [job.chat.run])
  const run: ResponseRun = { job, draft, generation, isStreamed }
  // A response in the background outlives the connection that asked for it.
  const abort = isBackground ? new AbortController() : abortWith(request)
  const events = responseEvents(client, run, abort.signal, options.log)
  if (!job.isStored) return isStreamed ? streamed(context, events, abort, RESPONSES_SSE) : whole(events)

  // Another request may have taken the id while this one's prompt was encoded.
  refuseTaken(store, job.id)
  const record = new StoredResponse({
    owner: job.owner,
    response: draft.response(isBackground ? "queued" : "in_progress"),
    conversation: job.conversation,
    log: isBackground && isStreamed ? new EventLog() : null,
    abort: isBackground ? abort : null,
  })
  store.add(record)
  const kept = recorded(store, record, draft, events)
  if (!isBackground) return isStreamed ? streamed(context, kept, abort, RESPONSES_SSE) : whole(kept)

  // The first event comes when the engine has accepted the request, or its refusal instead.
  await kept.next()
  void drain(kept)
  return record.log === null ? Response.json(record.response) : follow(context, record.log, request, -1)
}

/** Keeps `record` up to date with the events that pass. */
async function* recorded(store: ResponseStore, record: StoredResponse, draft: ResponseDraft, events: Events): Events {
  let isEnded = false
  try {
    for await (const event of events) {
      record.log?.push(event)
      if ("response" in event) record.response = event.response
      isEnded = LAST_EVENTS.has(event.type)
      if (isEnded) store.settle(record)
      yield event
    }
  } catch (error) {
    store.delete(record.id)
    throw error
  } finally {
    if (!isEnded) {
      record.response = draft.response("cancelled")
      store.settle(record)
    }
    void events.return().catch(() => {})
  }
}

async function drain(events: Events): Promise<void> {
  for await (const _ of events);
}

/** The last event's response. Errors: what ended it otherwise. */
async function whole(events: Events): Promise<Response> {
  let last: ResponseEvent | null = null
  for await (const event of events) last = event
  if (last === null || !("response" in last) || last.response.status === "in_progress") {
    throw new ClientGoneError("the client closed its connection")
  }
  const { error, status } = last.response
  if (status === "failed") {
    throw new RequestError(error?.message ?? "The response failed.", { status: 500, type: "InternalServerError" })
  }
  return Response.json(last.response)
}

/** The events of a response in the background, from the one after `startingAfter` on. */
export function follow(context: ApiContext, log: EventLog, request: Request, startingAfter: number): Promise<Response> {
  const abort = abortWith(request)
  return streamed(context, log.read(startingAfter, abort.signal), abort, RESPONSES_SSE)
}
