/** What the engine would be given for a request, without giving it: the templated prompt, its ids, every parameter. */
import { Type } from "@sinclair/typebox"
import { Elysia } from "elysia"
import type { SamplingParams } from "../../core/sampling-params.ts"
import { planChat } from "../chat/chat-plan.ts"
import { planCompletion } from "../completions/completions.ts"
import type { ApiContext } from "../context.ts"
import type { PromptRun } from "../plan/generation.ts"
import { jsonList } from "../http/json-list.ts"
import { jsonHandler } from "../http/opening.ts"
import { operation } from "./openapi.ts"
import { cacheSalt, requestPriority } from "../plan/request-options.ts"
import type { ReportOptions } from "../plan/request-options.ts"
import { ChatRequest } from "../schema/chat.ts"
import { CompletionRequest } from "../schema/completions.ts"
import { RenderedPrompt } from "../schema/render.ts"
import type { SamplingFields } from "../schema/sampling-fields.ts"
import type { UnknownFieldLog } from "../plan/unknown-fields.ts"

export function renderApi(context: ApiContext, noteUnknown: UnknownFieldLog) {
  const tag = "Tokens"
  const completion = jsonHandler(CompletionRequest, context, noteUnknown, async (request, body) => {
    const job = await planCompletion(context, request, body)
    return jsonList(job.runs.values().map((run) => rendered(job, run, request, body)))
  })
  const chat = jsonHandler(ChatRequest, context, noteUnknown, async (request, body) => {
    const job = await planChat(context, request, body)
    return Response.json(rendered(job, job.run, request, body))
  })
  return new Elysia()
    .post("/v1/completions/render", completion, {
      parse: "none",
      detail: operation({
        summary: "Show what prompts become", tag, request: CompletionRequest, response: Type.Array(RenderedPrompt),
        refusals: [404],
      }),
    })
    .post("/v1/chat/completions/render", chat, {
      parse: "none",
      detail: operation({
        summary: "Show what a conversation becomes", tag, request: ChatRequest, response: RenderedPrompt, refusals: [404],
      }),
    })
}

interface RenderedJob {
  readonly id: string
  readonly model: string
  readonly report: ReportOptions
}

export function rendered(
  { id, model, report }: RenderedJob,
  { prompt, sampling }: PromptRun,
  request: Request,
  body: Pick<SamplingFields, "priority" | "cache_salt">,
): RenderedPrompt {
  return {
    request_id: id,
    model,
    prompt: prompt.text,
    token_ids: prompt.tokenIds.slice(),
    token_offsets: null,
    features: null,
    content_parts: null,
    sampling_params: samplingFields(sampling),
    stream: report.stream,
    priority: requestPriority(request, body),
    cache_salt: cacheSalt(body),
  }
}

/** The parameters under the names of the API, as JSON has them. */
function samplingFields(sampling: SamplingParams): Record<string, unknown> {
  const fields = Object.entries(sampling).map(([name, value]) => {
    return [name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`), plain(value)] as const
  })
  return Object.fromEntries(fields)
}

/** A seed that a double cannot hold is written out. */
function plain(value: unknown): unknown {
  if (typeof value === "bigint") return Number.isSafeInteger(Number(value)) ? Number(value) : String(value)
  return value instanceof Map ? Object.fromEntries(value) : value
}
