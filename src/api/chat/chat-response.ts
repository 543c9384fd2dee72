/** The whole answer to a chat request that is not streamed, and to a batch of conversations. */
import type { ChoiceOutput } from "../../engine/engine-client.ts"
import {
  Answer, hidesTokens, reasoningTokens, replyItems, textOfKind, type ReplyCall, type ReplyItem,
} from "./answer.ts"
import { cacheMissField } from "../cache-miss/cache-miss.ts"
import type { ChatJob } from "./chat-job.ts"
import { chatLogprobs } from "../plan/logprobs.ts"
import { promptLogprobs } from "../plan/prompt-logprobs.ts"
import { requestMetrics } from "../observe/request-metrics.ts"
import type { ChatChoice, ChatResponse, FunctionCall } from "../schema/chat.ts"
import { countTokens, fullUsage } from "../observe/usage.ts"

export function chatResponse(job: ChatJob, outputs: readonly ChoiceOutput[]): ChatResponse {
  const { prompt } = job.run
  const answers = outputs.map((output) => answerTo(job, output.index, output))
  return {
    ...responseOf([job], [outputs], answers),
    prompt_logprobs: promptLogprobs(outputs[0]?.promptLogprobs ?? null),
    prompt_token_ids: job.report.tokenIds ? [...prompt.tokenIds] : null,
    prompt_text: job.returnPromptText ? prompt.text : null,
  }
}

/** One choice a conversation. `outputs` is `[job][choice index]`. */
export function batchResponse(
  jobs: readonly ChatJob[], outputs: readonly (readonly ChoiceOutput[])[],
): ChatResponse {
  const answers = jobs.map((job, i) => answerTo(job, i, outputs[i]![0]!))
  // What is told of a prompt has no place for several.
  return { ...responseOf(jobs, outputs, answers), prompt_logprobs: null, prompt_token_ids: null, prompt_text: null }
}

interface WholeAnswer {
  readonly answer: Answer
  readonly choice: ChatChoice
}

function responseOf(
  jobs: readonly ChatJob[], outputs: readonly (readonly ChoiceOutput[])[], answers: readonly WholeAnswer[],
): Omit<ChatResponse, "prompt_logprobs" | "prompt_token_ids" | "prompt_text"> {
  const { id, created, model, fingerprint, report } = jobs[0]!
  const counts = countTokens(jobs.map(({ run }) => run.prompt.tokenIds.length), outputs)
  return {
    id,
    object: "chat.completion",
    created,
    model,
    choices: answers.map(({ choice }) => choice),
    service_tier: null,
    system_fingerprint: fingerprint,
    usage: fullUsage({ ...counts, reasoningTokens: reasoningTokens(answers.map(({ answer }) => answer)) }, "chat"),
    kv_transfer_params: null,
    ec_transfer_params: null,
    metrics: report.metrics ? requestMetrics(outputs.flat().map(({ figures }) => figures)) : null,
    ...cacheMissField(jobs[0]!.run, counts.cachedTokens),
  }
}

function answerTo(job: ChatJob, index: number, output: ChoiceOutput): WholeAnswer {
  const form = { numTop: job.numTopLogprobs, asTokenIds: job.report.tokensAsIds }
  const isHiding = hidesTokens(job.answer)
  const answer = new Answer(job.answer)
  const choice: ChatChoice = {
    index,
    message: messageOf(job, replyItems(answer.takeWhole(output))),
    logprobs: output.logprobs === null || isHiding ? null : chatLogprobs(output.logprobs, form),
    finish_reason: answer.finishReason(output),
    stop_reason: output.stopReason,
    token_ids: job.report.tokenIds && !isHiding ? [...output.tokenIds] : null,
    routed_experts: null,
  }
  return { answer, choice }
}

function messageOf(job: ChatJob, items: readonly ReplyItem[]): ChatChoice["message"] {
  const content = job.echo + textOfKind(items, "content")
  const calls = items.filter((item) => item.type === "call")
  // Without a text beside reasoning or calls there is none, rather than an empty one; where calls were forced the
  // field is an empty one (vLLM).
  const isBeside = job.answer?.forced === null && items.some(({ type }) => type !== "content")
  return {
    role: job.role,
    content: content === "" && isBeside ? null : content,
    refusal: null,
    annotations: null,
    audio: null,
    function_call: null,
    ...(calls.length > 0 ? { tool_calls: calls.map(functionCall) } : {}),
    reasoning: textOfKind(items, "reasoning") || null,
  }
}

function functionCall(call: ReplyCall): FunctionCall {
  return { id: call.id, type: "function", function: { name: call.name, arguments: call.arguments } }
}
