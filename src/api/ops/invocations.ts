/** POST /invocations: a chat or a completion, as its fields say. What SageMaker asks of every server it hosts. */
import { Type } from "@sinclair/typebox"
import { Elysia } from "elysia"
import { RequestError } from "../../base/errors.ts"
import { chat } from "../chat/chat.ts"
import { complete } from "../completions/completions.ts"
import type { ApiContext } from "../context.ts"
import { eitherBodyReader, resumable } from "../http/opening.ts"
import type { Handler } from "../http/opening.ts"
import { operation } from "./openapi.ts"
import { ChatChunk, ChatRequest, ChatResponse } from "../schema/chat.ts"
import { CompletionChunk, CompletionRequest, CompletionResponse } from "../schema/completions.ts"
import { StreamEnd } from "../schema/kinds.ts"
import type { UnknownFieldLog } from "../plan/unknown-fields.ts"

export function invocationsApi(context: ApiContext, noteUnknown: UnknownFieldLog) {
  const read = eitherBodyReader([["messages", ChatRequest], ["prompt", CompletionRequest]], context, noteUnknown)
  const invoke: Handler = async ({ request }) => {
    const { schema, body } = await read(request)
    if (schema === ChatRequest) return chat(context, request, body as ChatRequest)
    if (schema === CompletionRequest) return complete(context, request, body as CompletionRequest)
    throw new RequestError("Cannot find suitable handler for request: it must have `messages`, for a chat, or `prompt`.")
  }
  return new Elysia().post("/invocations", resumable(context, invoke), {
    parse: "none",
    detail: operation({
      summary: "Answer a conversation or continue prompts",
      tag: "OpenAI",
      request: Type.Union([ChatRequest, CompletionRequest]),
      response: Type.Union([ChatResponse, CompletionResponse]),
      chunk: Type.Union([ChatChunk, CompletionChunk, StreamEnd]),
    }),
  })
}
