/**
 * The chunks of a streamed chat completion: with the engine's first output one chunk a choice that tells the role, then
 * one an output, then the usage if it was asked for.
 */
import type { ChoiceOutput, EngineClient } from "../../engine/engine-client.ts"
import { Answer, hidesTokens, reasoningTokens, type ReplyPart } from "./answer.ts"
import { cacheMissField } from "../cache-miss/cache-miss.ts"
import type { ChatJob } from "./chat-job.ts"
import { FlatMap } from "../http/flat-map.ts"
import { generateAll } from "../plan/generation.ts"
import type { Generation, RunOutput } from "../plan/generation.ts"
import { chatLogprobs } from "../plan/logprobs.ts"
import { chunkMetrics } from "../observe/request-metrics.ts"
import type { ChatChunk, ChatStreamChoice, FunctionCallDelta } from "../schema/chat.ts"
import { StreamCounts } from "../observe/stream-counts.ts"
import { finalChunkUsage, runningUsage } from "../observe/usage.ts"

export function chatEvents(
  client: EngineClient,
  job: ChatJob,
  generation: Generation,
  signal: AbortSignal,
): AsyncGenerator<ChatChunk, void, void> {
  const counts = new StreamCounts([job.run.prompt.tokenIds.length])
  const answers = Array.from({ length: job.run.sampling.n }, () => new Answer(job.answer))
  let hasBegun = false
  const each = ({ output }: RunOutput): ChatChunk[] => {
    counts.add(0, output)
    const chunk = deltaChunk(job, output, answers[output.index]!, counts)
    const chunks = chunk === null ? [] : [chunk]
    if (hasBegun) return chunks
    hasBegun = true
    return [...openingChunks(job, output), ...chunks]
  }
  const last = (): ChatChunk[] => {
    if (!job.report.includeUsage || signal.aborted) return []
    const usage = finalChunkUsage({ ...counts.total(), reasoningTokens: reasoningTokens(answers) }, "chat")
    return [{ ...header(job), choices: [], usage, ...closing(job, counts) }]
  }
  return new FlatMap(generateAll(client, generation, "delta", signal), { each, last })
}

function header(job: ChatJob) {
  return { id: job.id, object: "chat.completion.chunk" as const, created: job.created, model: job.model }
}

/** What the usage chunk tells, or without one the last chunk of each choice. */
function closing(job: ChatJob, counts: StreamCounts) {
  const { figures } = counts
  const metrics = chunkMetrics(figures, { isWanted: job.report.metrics, numChoices: job.run.sampling.n })
  const cacheMiss = cacheMissField(job.run, counts.total().cachedTokens)
  return { system_fingerprint: job.fingerprint, ...metrics, ...cacheMiss }
}

function* openingChunks(job: ChatJob, first: ChoiceOutput): Generator<ChatChunk, void, void> {
  const { prompt, sampling } = job.run
  const promptTokens = prompt.tokenIds.length
  const counts = { promptTokens, completionTokens: 0, cachedTokens: first.numCachedTokens }
  const usage = job.report.continuousUsage ? { usage: runningUsage(counts, "chat") } : {}
  const aboutPrompt = {
    prompt_token_ids: job.report.tokenIds ? [...prompt.tokenIds] : null,
    prompt_text: job.returnPromptText ? prompt.text : null,
  }
  for (let index = 0; index < sampling.n; index++) {
    const delta = { role: job.role, content: "" }
    yield { ...header(job), choices: [{ index, delta, logprobs: null, finish_reason: null }], ...usage, ...aboutPrompt }
  }
  for (let index = 0; index < sampling.n && job.echo !== ""; index++) {
    const delta = { content: job.echo }
    yield { ...header(job), choices: [{ index, delta, logprobs: null, finish_reason: null }], ...usage }
  }
}

/** Null where a parser holds everything back and there is nothing else to tell. */
function deltaChunk(job: ChatJob, output: ChoiceOutput, answer: Answer, counts: StreamCounts): ChatChunk | null {
  const { report } = job
  const isLast = output.finishReason !== null
  const isHiding = hidesTokens(job.answer)
  const parts = answer.take(output)
  const tellsTokens = (output.logprobs !== null || report.tokenIds) && !isHiding
  if (job.answer !== null && parts.length === 0 && !isLast && !tellsTokens) return null
  const form = { numTop: job.numTopLogprobs, asTokenIds: report.tokensAsIds }
  const choice: ChatStreamChoice = {
    index: output.index,
    // A last chunk without text says nothing new.
    delta: job.answer === null && !isLast ? { content: output.text } : deltaOf(parts),
    logprobs: output.logprobs === null || isHiding ? null : chatLogprobs(output.logprobs, form),
    finish_reason: answer.finishReason(output),
    ...(isLast ? { stop_reason: output.stopReason } : {}),
    token_ids: report.tokenIds && !isHiding ? [...output.tokenIds] : null,
  }
  const running = { ...counts.ofChoice(0, output), reasoningTokens: answer.numReasoningTokens }
  return {
    ...header(job),
    choices: [choice],
    ...(report.continuousUsage ? { usage: runningUsage(running, "chat") } : {}),
    ...(isLast && !report.includeUsage ? closing(job, counts) : {}),
  }
}

/** Only what is new has a key. */
function deltaOf(parts: readonly ReplyPart[]): ChatStreamChoice["delta"] {
  const delta: ChatStreamChoice["delta"] = {}
  for (const part of parts) {
    if (part.type === "call" || part.type === "arguments") (delta.tool_calls ??= []).push(callDelta(part))
    else delta[part.type] = (delta[part.type] ?? "") + part.text
  }
  return delta
}

function callDelta(part: Extract<ReplyPart, { type: "call" | "arguments" }>): FunctionCallDelta {
  const { index } = part
  if (part.type === "arguments") return { index, function: { arguments: part.text } }
  return { index, id: part.id, type: "function", function: { name: part.name, arguments: "" } }
}
