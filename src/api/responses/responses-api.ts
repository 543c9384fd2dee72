/** /v1/responses: OpenAI's Responses API, for text. */
import { Elysia } from "elysia"
import { RequestError } from "../../base/errors.ts"
import { ownerOf } from "../http/auth.ts"
import type { ApiContext } from "../context.ts"
import { countPromptTokens } from "../chat/count-tokens.ts"
import { jsonHandler } from "../http/opening.ts"
import { operation } from "../ops/openapi.ts"
import { readFlag, readInteger } from "../http/query.ts"
import { rendered } from "../ops/render.ts"
import { RenderedPrompt } from "../schema/render.ts"
import { ResponseEvent } from "../schema/response-events.ts"
import {
  DeletedResponse, InputTokens, InputTokensRequest, ResponseItemList, ResponseObject, ResponsesRequest,
} from "../schema/responses.ts"
import type { UnknownFieldLog } from "../plan/unknown-fields.ts"
import { refuseUnsupported } from "../plan/unsupported.ts"
import { conversationOf } from "./conversation.ts"
import { noteIgnoredOf } from "./ignored.ts"
import { pageOfItems } from "./input-items.ts"
import { chatRequest, planResponse } from "./plan.ts"
import { refuseUnsupportedFields } from "./refusals.ts"
import { follow, respond } from "./respond.ts"
import { ResponseStore } from "./store.ts"
import type { StoredResponse } from "./store.ts"
import { responseTools } from "./tools.ts"

type WithId = { request: Request; params: { response_id: string } }

export function responsesApi(context: ApiContext, noteUnknown: UnknownFieldLog) {
  const store = new ResponseStore(context.options.responseStore)
  const tag = "OpenAI"
  const find = ({ request, params }: WithId) => store.get(params.response_id, ownerOf(request))
  const remove = (record: StoredResponse): Response => {
    store.delete(record.id)
    record.abort?.abort()
    return Response.json({ id: record.id, object: "response", deleted: true } satisfies DeletedResponse)
  }
  const create = jsonHandler(ResponsesRequest, context, noteUnknown, (request, body) =>
    respond(context, store, request, body))
  const count = jsonHandler(InputTokensRequest, context, noteUnknown, async (request, body) =>
    Response.json(await countInput(context, store, request, body)))
  const render = jsonHandler(ResponsesRequest, context, noteUnknown, async (request, body) => {
    const { chat } = await planResponse(context, request, body, store)
    return Response.json(rendered(chat, chat.run, request, body))
  })
  const listInput = (route: WithId): Response =>
    Response.json(pageOfItems(find(route).conversation.items, new URL(route.request.url).searchParams))
  return new Elysia()
    .post("/v1/responses", create, {
      parse: "none",
      detail: operation({
        summary: "Make a response", tag, request: ResponsesRequest, response: ResponseObject, chunk: ResponseEvent,
      }),
    })
    .post("/v1/responses/input_tokens", count, {
      parse: "none",
      detail: operation({
        summary: "Count the tokens of a response's input", tag, request: InputTokensRequest, response: InputTokens,
        refusals: [404],
      }),
    })
    .post("/v1/responses/render", render, {
      parse: "none",
      detail: operation({
        summary: "Show what a response's input becomes", tag: "Tokens", request: ResponsesRequest,
        response: RenderedPrompt, refusals: [404],
      }),
    })
    .get("/v1/responses/:response_id/input_items", listInput, {
      detail: operation({
        summary: "List the items that a stored response was made from", tag, response: ResponseItemList,
        query: { limit: "integer", order: "string", after: "string" }, refusals: [404],
      }),
    })
    .get("/v1/responses/:response_id", (route: WithId) => retrieve(context, find(route), route.request), {
      detail: operation({
        summary: "Get a stored response, or go on reading its events", tag, response: ResponseObject,
        chunk: ResponseEvent, query: { stream: "boolean", starting_after: "integer" }, refusals: [404],
      }),
    })
    .delete("/v1/responses/:response_id", (route: WithId) => remove(find(route)), {
      detail: operation({ summary: "Forget a response", tag, response: DeletedResponse, refusals: [404] }),
    })
    .post("/v1/responses/:response_id/cancel", (route: WithId) => cancel(find(route)), {
      parse: "none",
      detail: operation({
        summary: "Cancel a response in the background", tag, response: ResponseObject, refusals: [400, 404],
      }),
    })
}

async function countInput(
  context: ApiContext, store: ResponseStore, request: Request, body: InputTokensRequest,
): Promise<InputTokens> {
  refuseUnsupported(body)
  refuseUnsupportedFields(body)
  const tools = responseTools(body.tools ?? [])
  noteIgnoredOf(context.warnOnce, body, tools)
  const { messages } = conversationOf(body, store, ownerOf(request))
  const input_tokens = await countPromptTokens(context, chatRequest(body, tools, messages))
  return { object: "response.input_tokens", input_tokens }
}

function retrieve(
  context: ApiContext, { response, log }: StoredResponse, request: Request,
): Promise<Response> | Response {
  const query = new URL(request.url).searchParams
  const startingAfter = readInteger(query, "starting_after")
  if (!readFlag(query, "stream", false)) {
    if (startingAfter === null) return Response.json(response)
    throw new RequestError("starting_after needs stream=true.", { param: "starting_after" })
  }
  if (log === null) {
    throw new RequestError("Only a response that was made with `background` and `stream` can be streamed again.", {
      type: "invalid_request_error", param: "stream",
    })
  }
  return follow(context, log, request, startingAfter ?? -1)
}

async function cancel(record: StoredResponse): Promise<Response> {
  if (record.response.status === "cancelled") return Response.json(record.response)
  if (record.abort === null || record.isSettled) {
    const what = record.abort === null ? "was not made in the background" : `is ${record.response.status}`
    throw new RequestError(`The response ${JSON.stringify(record.id)} ${what}: it cannot be cancelled.`, {
      type: "invalid_request_error", param: "response_id",
    })
  }
  record.abort.abort()
  await record.settled
  return Response.json(record.response)
}
