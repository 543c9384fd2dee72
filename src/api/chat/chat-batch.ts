/** POST /v1/chat/completions/batch: many conversations under the same parameters, answered together. */
import { Elysia } from "elysia"
import { RequestError } from "../../base/errors.ts"
import type { ChatJob } from "./chat-job.ts"
import { planChat } from "./chat-plan.ts"
import { batchResponse } from "./chat-response.ts"
import type { ApiContext } from "../context.ts"
import { abortWith, collectAll, refuseGone } from "../plan/generation.ts"
import { checkModel } from "../plan/model-name.ts"
import { generationFor, jsonHandler } from "../http/opening.ts"
import { operation } from "../ops/openapi.ts"
import { requestId } from "../http/request-id.ts"
import { BatchChatRequest } from "../schema/chat-batch.ts"
import { ChatRequest, ChatResponse } from "../schema/chat.ts"
import type { UnknownFieldLog } from "../plan/unknown-fields.ts"
import { refuseForeign } from "../plan/unsupported.ts"

export function chatBatchApi(context: ApiContext, noteUnknown: UnknownFieldLog) {
  const answer = jsonHandler(BatchChatRequest, context, noteUnknown, (request, body) => chats(context, request, body))
  return new Elysia().post("/v1/chat/completions/batch", answer, {
    parse: "none",
    detail: operation({
      summary: "Answer many conversations", tag: "OpenAI", request: BatchChatRequest, response: ChatResponse,
      isGenerating: true,
    }),
  })
}

async function chats(context: ApiContext, request: Request, body: BatchChatRequest): Promise<Response> {
  refuseForeign(body, BatchChatRequest, ChatRequest)
  checkModel(context.client.model, body.model)
  const id = requestId("chatcmpl", request, body.request_id)
  const jobs: ChatJob[] = []
  // One after the other, so that the texts of other requests come in between.
  for (const [i, messages] of body.messages.entries()) {
    refuseGone(request)
    jobs.push(await planOne(context, request, { ...body, messages }, { id, i }))
  }
  const generation = generationFor(context, request, body, id, jobs.map(({ run }) => run))
  return Response.json(batchResponse(jobs, await collectAll(context.client, generation, abortWith(request).signal)))
}

/** Errors: those of `planChat`, which tell the conversation. */
async function planOne(
  context: ApiContext, request: Request, body: ChatRequest, { id, i }: { id: string; i: number },
): Promise<ChatJob> {
  try {
    return await planChat(context, request, body, { id })
  } catch (error) {
    if (!(error instanceof RequestError)) throw error
    const { message, status, type, param, code } = error
    throw new RequestError(`Conversation ${i}: ${message}`, { status, type, param, code })
  }
}
