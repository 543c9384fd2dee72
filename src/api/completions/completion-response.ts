/** The whole answer to a completion request that is not streamed. */
import type { ChoiceOutput } from "../../engine/engine-client.ts"
import { cacheMissField } from "../cache-miss/cache-miss.ts"
import type { CompletionJob } from "./completion-job.ts"
import { completionLogprobs } from "../plan/logprobs.ts"
import { promptLogprobs } from "../plan/prompt-logprobs.ts"
import { requestMetrics } from "../observe/request-metrics.ts"
import type { CompletionChoice, CompletionResponse } from "../schema/completions.ts"
import { countTokens, fullUsage } from "../observe/usage.ts"

/** `outputs` is `[promptIdx][choice index]`. */
export function completionResponse(
  job: CompletionJob, outputs: readonly (readonly ChoiceOutput[])[],
): CompletionResponse {
  const counts = countTokens(job.runs.map(({ prompt }) => prompt.tokenIds.length), outputs)
  return {
    id: job.id,
    object: "text_completion",
    created: job.created,
    model: job.model,
    choices: outputs.flatMap((choices, promptIdx) => choices.map((output) => choiceOf(job, promptIdx, output))),
    service_tier: null,
    system_fingerprint: job.fingerprint,
    usage: fullUsage(counts, "completion"),
    kv_transfer_params: null,
    ec_transfer_params: null,
    metrics: job.report.metrics ? requestMetrics(outputs.flat().map(({ figures }) => figures)) : null,
    ...cacheMissField(job.runs[0]!, counts.cachedTokens),
  }
}

/** The choice's place in the answer: the prompts' choices follow each other. */
export function choiceIndex(job: CompletionJob, promptIdx: number, index: number): number {
  return promptIdx * (job.runs[promptIdx]?.sampling.n ?? 1) + index
}

/** Log-probabilities of the text that an output tells: with echo the prompt's come first. Null when not asked for. */
export function choiceLogprobs(job: CompletionJob, promptIdx: number, output: ChoiceOutput, textOffset: number) {
  if (output.logprobs === null) return null
  const form = { numTop: job.numLogprobs ?? 0, asTokenIds: job.report.tokensAsIds }
  const own = job.echoOnly ? [] : output.logprobs
  if (job.firstTokens === null || output.promptLogprobs === null) return completionLogprobs(own, form, textOffset)
  const all = [...output.promptLogprobs, ...own]
  return completionLogprobs(all, form, textOffset, job.firstTokens[promptIdx])
}

function choiceOf(job: CompletionJob, promptIdx: number, output: ChoiceOutput): CompletionChoice {
  return {
    index: choiceIndex(job, promptIdx, output.index),
    text: (job.echoes?.[promptIdx] ?? "") + (job.echoOnly ? "" : output.text),
    logprobs: choiceLogprobs(job, promptIdx, output, 0)?.logprobs ?? null,
    finish_reason: output.finishReason,
    stop_reason: output.stopReason,
    token_ids: job.report.tokenIds ? (job.echoOnly ? [] : [...output.tokenIds]) : null,
    prompt_logprobs: promptLogprobs(output.promptLogprobs),
    prompt_token_ids: job.report.tokenIds ? [...(job.runs[promptIdx]?.prompt.tokenIds ?? [])] : null,
    routed_experts: null,
  }
}
