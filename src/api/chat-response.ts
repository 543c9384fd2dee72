/** The whole answer to a chat request that is not streamed. */
import type { ChoiceOutput } from "../engine/engine-client.ts"
import type { ChatJob } from "./chat-job.ts"
import { chatLogprobs } from "./logprobs.ts"
import { promptLogprobs } from "./prompt-logprobs.ts"
import { requestMetrics } from "./request-metrics.ts"
import type { ChatChoice, ChatResponse } from "./schema/chat.ts"
import { countTokens, fullUsage } from "./usage.ts"

export function chatResponse(job: ChatJob, choices: readonly ChoiceOutput[]): ChatResponse {
  const { prompt } = job.run
  return {
    id: job.id,
    object: "chat.completion",
    created: job.created,
    model: job.model,
    choices: choices.map((output) => choiceOf(job, output)),
    service_tier: null,
    system_fingerprint: job.fingerprint,
    usage: fullUsage(countTokens([prompt.tokenIds.length], [choices]), "chat"),
    prompt_logprobs: promptLogprobs(choices[0]?.promptLogprobs ?? null),
    prompt_token_ids: job.report.tokenIds ? [...prompt.tokenIds] : null,
    prompt_text: job.returnPromptText ? prompt.text : null,
    kv_transfer_params: null,
    ec_transfer_params: null,
    metrics: job.report.metrics ? requestMetrics(choices.map(({ figures }) => figures)) : null,
  }
}

function choiceOf(job: ChatJob, output: ChoiceOutput): ChatChoice {
  const form = { numTop: job.numTopLogprobs, asTokenIds: job.report.tokensAsIds }
  return {
    index: output.index,
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
