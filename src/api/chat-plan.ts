/** Checks a chat request and turns it into a job. All endpoints whose requests are conversations come through here. */
import { RequestError } from "../base/errors.ts"
import { planAnswer } from "./answer-plan.ts"
import { beamSearchFor } from "./beam-search.ts"
import type { ChatJob } from "./chat-job.ts"
import { comparesPrompts } from "./cache-miss/cache-miss.ts"
import { chatPrompt, templateVariables } from "./chat-prompt.ts"
import { constraintOf, type ConstraintOptions } from "./constraints.ts"
import type { ApiContext } from "./context.ts"
import { numListed } from "./logprobs.ts"
import { messageText } from "./messages.ts"
import { checkModel, servedName } from "./model-name.ts"
import { truncationFor } from "./prompt.ts"
import { requestId } from "./request-id.ts"
import { reportOptions } from "./request-options.ts"
import { fitSampling, samplingFor } from "./sampling.ts"
import type { SamplingChoices } from "./sampling.ts"
import type { ChatRequest } from "./schema/chat.ts"
import { planTools } from "./tools.ts"
import { refuseUnsupported } from "./unsupported.ts"

/** How an endpoint that is not the chat's own names things. */
export interface ChatPlanOptions extends ConstraintOptions {
  readonly id?: string
  /** The field that sent `max_completion_tokens`, for refusals. */
  readonly maxTokensField?: SamplingChoices["maxTokensField"]
}

/** Errors: `RequestError` for whatever cannot be honoured. */
export async function planChat(
  context: ApiContext, request: Request, body: ChatRequest, options: ChatPlanOptions = {},
): Promise<ChatJob> {
  const { client } = context
  checkModel(client.model, body.model)
  const report = reportOptions(body, context)
  refuseUnsupported(body)
  const grammar = constraintOf(body, options)
  const tools = planTools(context, body)
  const kind = tools.areParsed ? context.answers.withTools : context.answers.withoutTools
  const choices = { ...samplingChoices(body, options.maxTokensField), keptTokenIds: kind?.keptTokenIds ?? [], grammar }
  const sampling = samplingFor(body, choices, client)
  const beamSearch = beamSearchFor(body, sampling, client)
  const truncation = truncationFor(body, choices.maxTokens, client.model.maxModelLen)
  const reasoningEffort = body.reasoning_effort ?? null
  const prompt = await chatPrompt(context, body, {
    tools: tools.shown, mayCallTools: tools.mayBeCalled, reasoningEffort,
    tellsStarts: comparesPrompts(context.options, body),
  }, truncation)
  if (grammar !== null) await client.checkGrammar(grammar)
  const role = answerRole(context, body)
  const last = body.messages.at(-1)
  return {
    id: options.id ?? requestId("chatcmpl", request, body.request_id),
    created: Math.floor(Date.now() / 1000),
    model: servedName(client.model),
    fingerprint: context.fingerprint,
    run: { prompt, beamSearch, sampling: fitSampling(sampling, prompt.tokenIds, client, beamSearch) },
    answer: kind === null
      ? null
      : await planAnswer(context, kind, body, prompt, templateVariables(context, body, reasoningEffort)),
    report,
    numTopLogprobs: numListed(sampling, client.model.vocabSize),
    role,
    echo: (body.echo ?? false) && last?.role === role ? messageText(last) : "",
    returnPromptText: body.return_prompt_text ?? false,
  }
}

function samplingChoices(
  body: ChatRequest, newerField: SamplingChoices["maxTokensField"] = "max_completion_tokens",
): Omit<SamplingChoices, "keptTokenIds" | "grammar"> {
  const wantsLogprobs = body.logprobs ?? false
  const top = body.top_logprobs ?? 0
  const param = "top_logprobs"
  if (top < -1) throw new RequestError(`\`top_logprobs\` must be a positive value or -1, got ${top}.`, { param })
  if (top !== 0 && !wantsLogprobs) {
    throw new RequestError("when using `top_logprobs`, `logprobs` must be set to true.", { param })
  }
  const newer = body.max_completion_tokens ?? null
  return {
    maxTokens: newer ?? body.max_tokens ?? null,
    maxTokensField: newer === null ? "max_tokens" : newerField,
    logprobs: wantsLogprobs ? top : null,
  }
}

/** Without a generation prompt the model goes on with the last message. */
function answerRole({ options }: ApiContext, body: ChatRequest): string {
  if (body.add_generation_prompt ?? true) return options.responseRole
  return body.messages.at(-1)?.role ?? options.responseRole
}
