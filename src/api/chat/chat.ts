/** POST /v1/chat/completions: a conversation, answered `n` times. */
import { Type } from "@sinclair/typebox"
import { Elysia } from "elysia"
import { planChat } from "./chat-plan.ts"
import { chatResponse } from "./chat-response.ts"
import { chatEvents } from "./chat-stream.ts"
import type { ApiContext } from "../context.ts"
import { abortWith, collectAll } from "../plan/generation.ts"
import { answerStream, generationFor, jsonHandler, resumable } from "../http/opening.ts"
import { operation } from "../ops/openapi.ts"
import { ChatChunk, ChatRequest, ChatResponse } from "../schema/chat.ts"
import { StreamEnd } from "../schema/kinds.ts"
import type { UnknownFieldLog } from "../plan/unknown-fields.ts"

export function chatApi(context: ApiContext, noteUnknown: UnknownFieldLog) {
  const detail = operation({
    summary: "Answer a conversation",
    tag: "OpenAI",
    request: ChatRequest,
    response: ChatResponse,
    chunk: Type.Union([ChatChunk, StreamEnd]),
  })
  const answer = jsonHandler(ChatRequest, context, noteUnknown, (request, body) => chat(context, request, body))
  return new Elysia().post("/v1/chat/completions", resumable(context, answer), { parse: "none", detail })
}

export async function chat(context: ApiContext, request: Request, body: ChatRequest): Promise<Response> {
  const { client } = context
  const job = await planChat(context, request, body)
  const generation = generationFor(context, request, body, job.id, [job.run])
  if (job.report.stream) {
    const events = (signal: AbortSignal) => chatEvents(client, job, generation, signal)
    return answerStream(context, request, job.report.isResumable, events)
  }
  const [choices] = await collectAll(client, generation, abortWith(request).signal)
  return Response.json(chatResponse(job, choices ?? []))
}
