/** POST /v1/completions: one or more prompts, each continued `n` times. */
import { Type } from "@sinclair/typebox"
import { Elysia } from "elysia"
import { RequestError } from "../../base/errors.ts"
import { MAX_N_SEQUENCES } from "../../engine/sampling-validation.ts"
import { beamSearchFor } from "../plan/beam-search.ts"
import type { CompletionJob } from "./completion-job.ts"
import { completionEvents } from "./completion-stream.ts"
import { completionResponse } from "./completion-response.ts"
import { constraintOf } from "../plan/constraints.ts"
import type { ApiContext } from "../context.ts"
import { abortWith, collectAll, refuseGone } from "../plan/generation.ts"
import type { PromptRun } from "../plan/generation.ts"
import { numListed } from "../plan/logprobs.ts"
import type { FirstToken } from "../plan/logprobs.ts"
import { checkModel, servedName } from "../plan/model-name.ts"
import { answerStream, generationFor, jsonHandler, resumable } from "../http/opening.ts"
import { operation } from "../ops/openapi.ts"
import { encodeText, splitPrompts, truncateIds, truncationFor } from "../plan/prompt.ts"
import type { Prompt, Truncation } from "../plan/prompt.ts"
import { echoedLogprobs } from "../plan/prompt-logprobs.ts"
import { requestId } from "../http/request-id.ts"
import { reportOptions } from "../plan/request-options.ts"
import type { ReportOptions } from "../plan/request-options.ts"
import { fitSampling, samplingFor } from "../plan/sampling.ts"
import { CompletionChunk, CompletionRequest, CompletionResponse } from "../schema/completions.ts"
import { StreamEnd } from "../schema/kinds.ts"
import type { UnknownFieldLog } from "../plan/unknown-fields.ts"
import { refuseUnsupported } from "../plan/unsupported.ts"

const DEFAULT_MAX_TOKENS = 16

export function completionsApi(context: ApiContext, noteUnknown: UnknownFieldLog) {
  const detail = operation({
    summary: "Continue prompts",
    tag: "OpenAI",
    request: CompletionRequest,
    response: CompletionResponse,
    chunk: Type.Union([CompletionChunk, StreamEnd]),
  })
  const answer = jsonHandler(CompletionRequest, context, noteUnknown, (request, body) =>
    complete(context, request, body))
  return new Elysia().post("/v1/completions", resumable(context, answer), { parse: "none", detail })
}

export async function complete(context: ApiContext, request: Request, body: CompletionRequest): Promise<Response> {
  const { client } = context
  const job = await planCompletion(context, request, body)
  const generation = generationFor(context, request, body, job.id, job.runs)
  if (job.report.stream) {
    const events = (signal: AbortSignal) => completionEvents(client, job, generation, signal)
    return answerStream(context, request, job.report.isResumable, events)
  }
  return Response.json(completionResponse(job, await collectAll(client, generation, abortWith(request).signal)))
}

function checkFields(body: CompletionRequest): void {
  refuseUnsupported(body)
  const logprobs = body.logprobs ?? null
  if (logprobs !== null && logprobs < -1) {
    throw new RequestError(`\`logprobs\` must be a positive value or -1, got ${logprobs}.`, { param: "logprobs" })
  }
}

/** Errors: `RequestError` for whatever cannot be honoured. */
export async function planCompletion(
  context: ApiContext, request: Request, body: CompletionRequest,
): Promise<CompletionJob> {
  const { client } = context
  checkModel(client.model, body.model)
  const report = reportOptions(body, context)
  checkFields(body)
  const echo = body.echo ?? false
  const echoOnly = echo && body.max_tokens === 0
  const maxTokens = echoOnly ? 1 : (body.max_tokens ?? DEFAULT_MAX_TOKENS)
  const logprobs = body.logprobs ?? null
  const grammar = constraintOf(body)
  const choices = { maxTokens, maxTokensField: "max_tokens", logprobs, keptTokenIds: [], grammar } as const
  const sampling = echoedLogprobs(samplingFor(body, choices, client), echo)
  const given = splitPrompts(body.prompt)
  checkNumChoices(given.length, sampling.n)
  const beamSearch = beamSearchFor(body, sampling, client)
  const truncation = truncationFor(body, maxTokens, client.model.maxModelLen)
  const runs: PromptRun[] = []
  // One after the other: the texts of other requests come in between, and one that is too long ends it at once.
  for (const each of given) {
    refuseGone(request)
    const prompt = await readPrompt(context, body, each, truncation)
    runs.push({ prompt, beamSearch, sampling: fitSampling(sampling, prompt.tokenIds, client, beamSearch) })
  }
  const prompts = runs.map(({ prompt }) => prompt)
  if (grammar !== null) await client.checkGrammar(grammar)
  return {
    id: requestId("cmpl", request, body.request_id),
    created: Math.floor(Date.now() / 1000),
    model: servedName(client.model),
    fingerprint: context.fingerprint,
    runs,
    report,
    numLogprobs: logprobs === null ? null : numListed(sampling, client.model.vocabSize),
    echoes: echo ? await echoTexts(context, prompts, report) : null,
    firstTokens: echo && logprobs !== null ? prompts.map((prompt) => firstToken(context, prompt)) : null,
    echoOnly,
  }
}

function firstToken({ client }: ApiContext, { tokenIds }: Prompt): FirstToken {
  const tokenId = tokenIds[0]!
  return { tokenId, token: client.tokenizer.decode([tokenId]) }
}

/** What one request may ask for with one prompt, it may not exceed with many. */
function checkNumChoices(numPrompts: number, n: number): void {
  if (numPrompts === 1 || numPrompts * n <= MAX_N_SEQUENCES) return
  throw new RequestError(
    `${numPrompts} prompts with n=${n} make ${numPrompts * n} choices; at most ${MAX_N_SEQUENCES} are allowed.`,
    { param: "n" },
  )
}

async function readPrompt(
  context: ApiContext, body: CompletionRequest, prompt: string | readonly number[], truncation: Truncation,
): Promise<Prompt> {
  if (typeof prompt !== "string") return { text: null, tokenIds: truncateIds(prompt, truncation) }
  return encodeText(context, prompt, body.add_special_tokens ?? true, truncation)
}

/** With `return_token_ids` the prompt is told as ids instead. */
async function echoTexts({ work }: ApiContext, prompts: readonly Prompt[], report: ReportOptions): Promise<string[]> {
  const texts: string[] = []
  for (const { text, tokenIds } of prompts) texts.push(report.tokenIds ? "" : (text ?? await work.decode(tokenIds)))
  return texts
}
