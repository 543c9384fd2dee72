/** The chunks of a streamed completion: one an output of the engine, then the usage if it was asked for. */
import type { ChoiceOutput, EngineClient } from "../../engine/engine-client.ts"
import { choiceIndex, choiceLogprobs } from "./completion-response.ts"
import { cacheMissField } from "../cache-miss/cache-miss.ts"
import type { CompletionJob } from "./completion-job.ts"
import { FlatMap } from "../http/flat-map.ts"
import { generateAll } from "../plan/generation.ts"
import type { Generation, RunOutput } from "../plan/generation.ts"
import { chunkMetrics } from "../observe/request-metrics.ts"
import type { CompletionChunk, CompletionLogprobs } from "../schema/completions.ts"
import { StreamCounts } from "../observe/stream-counts.ts"
import { finalChunkUsage, runningUsage } from "../observe/usage.ts"

export function completionEvents(
  client: EngineClient,
  job: CompletionJob,
  generation: Generation,
  signal: AbortSignal,
): AsyncGenerator<CompletionChunk, void, void> {
  const counts = new StreamCounts(job.runs.map(({ prompt }) => prompt.tokenIds.length))
  // They go on from chunk to chunk.
  const textOffsets = new Map<number, number>()
  const each = ({ promptIdx, output }: RunOutput): [CompletionChunk] => {
    const index = choiceIndex(job, promptIdx, output.index)
    const isFirst = counts.add(promptIdx, output)
    const told = choiceLogprobs(job, promptIdx, output, textOffsets.get(index) ?? 0)
    if (told !== null) textOffsets.set(index, told.textOffset)
    return [chunkOf(job, promptIdx, index, output, { isFirst, logprobs: told?.logprobs ?? null, counts })]
  }
  const last = (): CompletionChunk[] => {
    if (!job.report.includeUsage || signal.aborted) return []
    const usage = finalChunkUsage(counts.total(), "completion")
    return [{ ...header(job), choices: [], usage, ...closing(job, counts) }]
  }
  return new FlatMap(generateAll(client, generation, "delta", signal), { each, last })
}

function header(job: CompletionJob) {
  return { id: job.id, object: "text_completion" as const, created: job.created, model: job.model }
}

/** What the usage chunk tells, or without one the last chunk of each choice. */
function closing(job: CompletionJob, counts: StreamCounts) {
  const { figures } = counts
  const numChoices = job.runs.reduce((total, { sampling }) => total + sampling.n, 0)
  const metrics = chunkMetrics(figures, { isWanted: job.report.metrics, numChoices })
  const cacheMiss = cacheMissField(job.runs[0]!, counts.total().cachedTokens)
  return { system_fingerprint: job.fingerprint, ...metrics, ...cacheMiss }
}

interface ChunkParts {
  readonly isFirst: boolean
  readonly logprobs: CompletionLogprobs | null
  readonly counts: StreamCounts
}

function chunkOf(
  job: CompletionJob, promptIdx: number, index: number, output: ChoiceOutput, parts: ChunkParts,
): CompletionChunk {
  const { report } = job
  const echo = parts.isFirst ? (job.echoes?.[promptIdx] ?? "") : ""
  const choice = {
    index,
    text: echo + (job.echoOnly ? "" : output.text),
    logprobs: parts.logprobs,
    finish_reason: output.finishReason,
    stop_reason: output.stopReason,
    prompt_token_ids: report.tokenIds && parts.isFirst ? [...(job.runs[promptIdx]?.prompt.tokenIds ?? [])] : null,
    token_ids: report.tokenIds ? (job.echoOnly ? [] : [...output.tokenIds]) : null,
  }
  return {
    ...header(job),
    choices: [choice],
    ...(report.continuousUsage ? { usage: runningUsage(parts.counts.ofChoice(promptIdx, output), "completion") } : {}),
    ...(output.finishReason !== null && !report.includeUsage ? closing(job, parts.counts) : {}),
  }
}
