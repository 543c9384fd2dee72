/** The whole answer to a chat request that is not streamed, and to a batch of conversations. */
import type { ChoiceOutput } from "../engine/engine-client.ts"
import type { ChatJob } from "./chat-job.ts"
import { chatLogprobs } from "./logprobs.ts"
import { promptLogprobs } from "./prompt-logprobs.ts"
import { requestMetrics } from "./request-metrics.ts"
import type { ChatChoice, ChatResponse } from "./schema/chat.ts"
import { countTokens, fullUsage } from "./usage.ts"

export function chatResponse(job: ChatJob, outputs: readonly ChoiceOutput[]): ChatResponse {
  const { prompt } = job.run
  return {
    ...answerOf([job], [outputs], outputs.map((output) => choiceOf(job, output.index, output))),
    prompt_logprobs: promptLogprobs(outputs[0]?.promptLogprobs ?? null),
    prompt_token_ids: job.report.tokenIds ? [...prompt.tokenIds] : null,
    prompt_text: job.returnPromptText ? prompt.text : null,
  }
}

/** One choice a conversation. `outputs` is `[job][choice index]`. */
export function batchResponse(
  jobs: readonly ChatJob[], outputs: readonly (readonly ChoiceOutput[])[],
): ChatResponse {
  const choices = jobs.map((job, i) => choiceOf(job, i, outputs[i]![0]!))
  // What is told of a prompt has no place for several.
  return { ...answerOf(jobs, outputs, choices), prompt_logprobs: null, prompt_token_ids: null, prompt_text: null }
}

function answerOf(
  jobs: readonly ChatJob[], outputs: readonly (readonly ChoiceOutput[])[], choices: ChatChoice[],
): Omit<ChatResponse, "prompt_logprobs" | "prompt_token_ids" | "prompt_text"> {
  const { id, created, model, fingerprint, report } = jobs[0]!
  const promptLengths = jobs.map(({ run }) => run.prompt.tokenIds.length)
  return {
    id,
    object: "chat.completion",
    created,
    model,
    choices,
    service_tier: null,
    system_fingerprint: fingerprint,
    usage: fullUsage(countTokens(promptLengths, outputs), "chat"),
    kv_transfer_params: null,
    ec_transfer_params: null,
    metrics: report.metrics ? requestMetrics(outputs.flat().map(({ figures }) => figures)) : null,
  }
}

function choiceOf(job: ChatJob, index: number, output: ChoiceOutput): ChatChoice {
  const form = { numTop: job.numTopLogprobs, asTokenIds: job.report.tokensAsIds }
  return {
    index,
    message: {
      role: job.role,
      content: job.echo + output.text,
      refusal: null,
      annotations: null,
      audio: null,
      function_call: null,
      reasoning: null,
    },
    logprobs: output.logprobs === null ? null : chatLogprobs(output.logprobs, form),
    finish_reason: output.finishReason,
    stop_reason: output.stopReason,
    token_ids: job.report.tokenIds ? [...output.tokenIds] : null,
    routed_experts: null,
  }
}
