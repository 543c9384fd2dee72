/** POST /v1/messages and below: Anthropic's Messages API, for text. */
import { Elysia } from "elysia"
import { planChat } from "../chat/chat-plan.ts"
import type { ApiContext } from "../context.ts"
import { countPromptTokens } from "../chat/count-tokens.ts"
import { abortWith, collectAll } from "../plan/generation.ts"
import { generationFor, jsonHandler, streamed } from "../http/opening.ts"
import { operation } from "../ops/openapi.ts"
import { rendered } from "../ops/render.ts"
import { randomHex } from "../http/request-id.ts"
import {
  AnthropicError, CountTokensRequest, CountTokensResponse, MessageEvent, MessageObject, MessagesRequest,
} from "../schema/anthropic.ts"
import { RenderedPrompt } from "../schema/render.ts"
import { namedEvent } from "../http/sse.ts"
import type { SseDialect } from "../http/sse.ts"
import type { UnknownFieldLog } from "../plan/unknown-fields.ts"
import { anthropicError, withAnthropicErrors } from "./anthropic-errors.ts"
import { noteIgnoredOf } from "./ignored.ts"
import { messageEvents, messageObject } from "./message.ts"
import { chatRequest, promptPart } from "./to-chat.ts"

const ANTHROPIC_SSE: SseDialect = {
  event: namedEvent,
  error: (error) => namedEvent(anthropicError(error)),
  keepAlive: namedEvent({ type: "ping" }),
  end: "",
}

export function anthropicApi(context: ApiContext, noteUnknown: UnknownFieldLog) {
  const { log } = context.options
  const tag = "Anthropic"
  const create = jsonHandler(MessagesRequest, context, noteUnknown, (request, body) => answer(context, request, body))
  const count = jsonHandler(CountTokensRequest, context, noteUnknown, (_, body) => countTokens(context, body))
  const render = jsonHandler(MessagesRequest, context, noteUnknown, async (request, body) => {
    const { job, chat } = await plan(context, request, body)
    return Response.json(rendered(job, job.run, request, chat))
  })
  return new Elysia()
    .post("/v1/messages", withAnthropicErrors(create, log), {
      parse: "none",
      detail: operation({
        summary: "Answer a conversation", tag, request: MessagesRequest, response: MessageObject, chunk: MessageEvent,
        refusal: AnthropicError,
      }),
    })
    .post("/v1/messages/count_tokens", withAnthropicErrors(count, log), {
      parse: "none",
      detail: operation({
        summary: "Count the tokens of a conversation", tag, request: CountTokensRequest,
        response: CountTokensResponse, refusal: AnthropicError, refusals: [404],
      }),
    })
    .post("/v1/messages/render", withAnthropicErrors(render, log), {
      parse: "none",
      detail: operation({
        summary: "Show what a message's conversation becomes", tag: "Tokens", request: MessagesRequest,
        response: RenderedPrompt, refusal: AnthropicError, refusals: [404],
      }),
    })
}

async function plan(context: ApiContext, request: Request, body: MessagesRequest) {
  const marksReasoning = context.client.model.reasoning !== null
  noteIgnoredOf(context.warnOnce, body, marksReasoning)
  const chat = chatRequest(body, { marksReasoning })
  return { chat, job: await planChat(context, request, chat, {
    id: `msg_${randomHex(12)}`, formatField: "output_config.format",
  }) }
}

async function answer(context: ApiContext, request: Request, body: MessagesRequest): Promise<Response> {
  const { client } = context
  const { chat, job } = await plan(context, request, body)
  const generation = generationFor(context, request, chat, job.id, [job.run])
  const abort = abortWith(request)
  if (job.report.stream) {
    return streamed(context, messageEvents(client, job, generation, abort.signal), abort, ANTHROPIC_SSE)
  }
  const [choices] = await collectAll(client, generation, abort.signal)
  return Response.json(messageObject(job, choices![0]!))
}

async function countTokens(context: ApiContext, body: CountTokensRequest): Promise<Response> {
  noteIgnoredOf(context.warnOnce, body, true)
  const input_tokens = await countPromptTokens(context, promptPart(body))
  const counts: CountTokensResponse = { input_tokens, context_management: { original_input_tokens: input_tokens } }
  return Response.json(counts)
}
