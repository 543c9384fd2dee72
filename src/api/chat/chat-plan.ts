/** Checks a chat request and turns it into a job. All endpoints whose requests are conversations come through here. */
import { RequestError } from "../../base/errors.ts"
import type { GrammarSpec } from "../../core/grammar-spec.ts"
import type { AnswerKind, AnswerKinds } from "./answer-kinds.ts"
import { behindReasoning, planAnswer, withUnmarkedStart } from "./answer-plan.ts"
import { beamSearchFor } from "../plan/beam-search.ts"
import type { ChatJob } from "./chat-job.ts"
import { comparesPrompts } from "../cache-miss/cache-miss.ts"
import { chatPrompt, templateVariables } from "./chat-prompt.ts"
import { constraintOf, type ConstraintOptions } from "../plan/constraints.ts"
import type { ApiContext } from "../context.ts"
import { numListed } from "../plan/logprobs.ts"
import { messageText } from "./messages.ts"
import { checkModel, servedName } from "../plan/model-name.ts"
import { truncationFor } from "../plan/prompt.ts"
import { requestId } from "../http/request-id.ts"
import { reportOptions } from "../plan/request-options.ts"
import { fitSampling, samplingFor } from "../plan/sampling.ts"
import type { SamplingChoices } from "../plan/sampling.ts"
import type { ChatRequest } from "../schema/chat.ts"
import { planTools, type ToolPlan } from "./tools.ts"
import { refuseUnsupported } from "../plan/unsupported.ts"

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
  const tools = planTools(context, body)
  const constraint = joined(constraintOf(body, options), tools)
  const kind = answerKindOf(context.answers, tools)
  const keptTokenIds = kind?.keptTokenIds ?? []
  const choices = { ...samplingChoices(body, options.maxTokensField), keptTokenIds, grammar: constraint }
  const sampling = samplingFor(body, choices, client)
  const beamSearch = beamSearchFor(body, sampling, client)
  const truncation = truncationFor(body, choices.maxTokens, client.model.maxModelLen)
  const reasoningEffort = body.reasoning_effort ?? null
  const prompt = await chatPrompt(context, body, {
    tools: tools.shown, mayCallTools: tools.mayBeCalled, reasoningEffort,
    tellsStarts: comparesPrompts(context.options, body),
  }, truncation)
  const answer = kind === null
    ? null
    : await planAnswer(context, kind, body, prompt, {
      variables: templateVariables(context, body, reasoningEffort), forced: tools.forced,
    })
  const grammar = constraint === null || answer === null ? constraint : behindReasoning(constraint, answer)
  const thinkingBudget = withUnmarkedStart(sampling.thinkingBudget, prompt.tokenIds.length, answer)
  if (grammar !== null) await client.checkGrammar(grammar)
  const role = answerRole(context, body)
  const last = body.messages.at(-1)
  return {
    id: options.id ?? requestId("chatcmpl", request, body.request_id),
    created: Math.floor(Date.now() / 1000),
    model: servedName(client.model),
    fingerprint: context.fingerprint,
    run: {
      prompt, beamSearch,
      sampling: fitSampling({ ...sampling, grammar, thinkingBudget }, prompt.tokenIds, client, beamSearch),
    },
    answer,
    report,
    numTopLogprobs: numListed(sampling, client.model.vocabSize),
    role,
    echo: (body.echo ?? false) && last?.role === role ? messageText(last) : "",
    returnPromptText: body.return_prompt_text ?? false,
  }
}

function answerKindOf(answers: AnswerKinds, { areParsed, forced }: ToolPlan): AnswerKind | null {
  if (forced !== null) return answers.forcedCalls
  return areParsed ? answers.withTools : answers.withoutTools
}

/**
 * Calls that have to be made are the whole answer: a format for texts does not concern them. Where the model decides,
 * a format of the answer leaves no place for calls.
 */
function joined(constraint: GrammarSpec | null, { forced, grammar }: ToolPlan): GrammarSpec | null {
  return forced !== null ? grammar : constraint ?? grammar
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

/** Without a generation prompt the model continues the last message. */
function answerRole({ options }: ApiContext, body: ChatRequest): string {
  if (body.add_generation_prompt ?? true) return options.responseRole
  return body.messages.at(-1)?.role ?? options.responseRole
}
