/** What the endpoints that generate have in common: how a request is read, handed to the engine, and streamed back. */
import type { Static, TObject } from "@sinclair/typebox"
import { withNumberTexts } from "../../base/json-number.ts"
import { ownerOf } from "./auth.ts"
import { bodyShape, schemaOf } from "./body-schemas.ts"
import { readJsonBytes } from "./body.ts"
import { watchCache } from "../cache-miss/cache-miss.ts"
import type { ApiContext } from "../context.ts"
import { abortWith } from "../plan/generation.ts"
import type { Generation, PromptRun } from "../plan/generation.ts"
import { recordOf } from "../observe/request-record.ts"
import { checkRequestLimits } from "./request-limits.ts"
import { cacheSalt, requestPriority } from "../plan/request-options.ts"
import type { SamplingFields } from "../schema/sampling-fields.ts"
import { OPENAI_SSE, sseResponse } from "./sse.ts"
import type { SseDialect } from "./sse.ts"
import type { UnknownFieldLog } from "../plan/unknown-fields.ts"

type GenerationFields = Pick<SamplingFields, "priority" | "cache_salt" | "return_cache_miss">

export type Handler = (route: { request: Request }) => Promise<Response>

/** Reads a body as `schema` has it, within the server's limits; unknown fields are noted. */
export function bodyReader<T extends TObject>(
  schema: T, context: ApiContext, noteUnknown: UnknownFieldLog,
): (request: Request) => Promise<Static<T>> {
  const readEither = eitherBodyReader([[null, schema]], context, noteUnknown)
  return async (request) => (await readEither(request)).body as Static<T>
}

/** What was read, by which schema; null where the body has none of the fields that tell, and is not checked at all. */
export interface ReadBody {
  readonly schema: TObject | null
  readonly body: unknown
}

/** The same for bodies of several shapes: the first schema whose field is there. A null stands for any body. */
export function eitherBodyReader(
  schemas: readonly (readonly [field: string | null, schema: TObject])[],
  { options, work }: ApiContext,
  noteUnknown: UnknownFieldLog,
): (request: Request) => Promise<ReadBody> {
  const shapes = schemas.map(([field, schema]) => bodyShape(schema, field))
  return async (request) => {
    const bytes = await readJsonBytes(request, options.maxBodyBytes)
    const parsed = await work.parse(bytes, shapes, options.bodyLimits)
    const { shape } = parsed
    const body = withNumberTexts(parsed.body, parsed.numbers)
    if (shape === null) return { schema: null, body }
    const schema = schemaOf(shape)
    checkRequestLimits(body as Record<string, unknown>, options.requestLimits)
    noteUnknown(schema, body as object)
    return { schema, body }
  }
}

/** A handler that gets the body as `bodyReader` reads it. */
export function jsonHandler<T extends TObject>(
  schema: T,
  context: ApiContext,
  noteUnknown: UnknownFieldLog,
  answer: (request: Request, body: Static<T>) => Promise<Response> | Response,
): Handler {
  const read = bodyReader(schema, context, noteUnknown)
  return async ({ request }) => answer(request, await read(request))
}

/**
 * Errors: `RequestError` for a prompt without tokens, for a priority or a salt that is none, and for a report of the
 * cache that cannot be made.
 */
export function generationFor(
  context: ApiContext, request: Request, fields: GenerationFields, id: string, runs: readonly PromptRun[],
): Generation {
  const priority = requestPriority(request, fields)
  const salt = cacheSalt(fields)
  for (const { prompt, sampling } of runs.filter(({ prompt }) => prompt.tokenIds.length === 0)) {
    context.client.validatePrompt(prompt.tokenIds, sampling)
  }
  const record = recordOf(request)
  record?.expect(runs.reduce((total, { sampling }) => total + sampling.n, 0))
  const onFinished: Generation["onFinished"] = (promptIdx, figures) =>
    record?.add({ id, promptIdx, sampling: runs[promptIdx]!.sampling, figures })
  const owner = ownerOf(request)
  const { onOutput } = watchCache(context, fields, owner, id, runs)
  return { id, runs, priority, cacheSalt: salt, owner, onFinished, onOutput }
}

/**
 * The answer to a request for a stream, which `makeEvents` makes from the signal that ends it; one that can be resumed
 * where the request asks for that. Errors: those of `sseResponse`.
 */
export function answerStream(
  context: ApiContext,
  request: Request,
  isResumable: boolean,
  makeEvents: (signal: AbortSignal) => AsyncGenerator<object, void, void>,
): Promise<Response> {
  if (!isResumable) {
    const abort = abortWith(request)
    return streamed(context, makeEvents(abort.signal), abort)
  }
  const { streams, options } = context
  // A connection that breaks does not end it.
  const abort = new AbortController()
  const sse = { abort, dialect: OPENAI_SSE, keepAliveMs: options.sseKeepAliveMs, log: options.log }
  return streams.open(makeEvents(abort.signal), ownerOf(request), request.signal, sse)
}

/** A request that names the last event its client saw resumes that stream. */
export function resumable({ streams, options }: ApiContext, handler: Handler): Handler {
  return async (route) => {
    const { request } = route
    const lastEventId = request.headers.get("last-event-id")
    if (lastEventId === null || lastEventId === "") return handler(route)
    // The request is sent again as it was. Its stream, not its body, says how to resume; the body has to be read first.
    if (request.body !== null) await readJsonBytes(request, options.maxBodyBytes)
    return streams.resume(lastEventId, ownerOf(request), request.signal)
  }
}

/** The answer as a stream; see `sseResponse`. */
export function streamed(
  { options }: ApiContext,
  events: AsyncGenerator<object, void, void>,
  abort: AbortController,
  dialect: SseDialect = OPENAI_SSE,
): Promise<Response> {
  return sseResponse(events, { abort, dialect, keepAliveMs: options.sseKeepAliveMs, log: options.log })
}
