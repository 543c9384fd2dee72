/** Anthropic's requests as the chat requests that they are for the model. */
import { RequestError } from "../../base/errors.ts"
import { ChatRequest, EFFORTS } from "../schema/chat.ts"
import { MessagesRequest } from "../schema/anthropic.ts"
import type { CountTokensRequest } from "../schema/anthropic.ts"
import { TemplateFieldsSchema } from "../schema/messages.ts"
import type { Tools } from "../schema/messages.ts"
import { nonEmpty, refuseForeign, refuseUnsupported } from "../plan/unsupported.ts"
import { ThreadError } from "./anthropic-errors.ts"
import { chatMessages } from "./conversation.ts"

/** Fields that would change the answer in a way that is not known here. */
const REFUSED = ["mcp_servers", "container"] as const

const MIN_THINKING_BUDGET = 1024

/**
 * `thinking.budget_tokens` is ignored where nothing marks the model's reasoning: agents send it with every request,
 * whatever the model.
 *
 * Errors: `RequestError` whose param is the path of what cannot be honoured.
 */
export function chatRequest(body: MessagesRequest, { marksReasoning }: { marksReasoning: boolean }): ChatRequest {
  refuseForeign(body, MessagesRequest, ChatRequest)
  const budget = thinkingBudget(body)
  const {
    max_tokens, stop_sequences, temperature, top_k, top_p, stream, truncate_prompt_tokens, truncation_side, priority,
    cache_salt, vllm_xargs,
  } = body
  return {
    ...promptPart(body),
    max_tokens,
    stop: stop_sequences ?? null,
    truncate_prompt_tokens: truncate_prompt_tokens ?? null,
    truncation_side: truncation_side ?? null,
    temperature: temperature ?? null,
    top_k: top_k ?? null,
    top_p: top_p ?? null,
    stream: stream ?? false,
    priority: priority ?? null,
    cache_salt: cache_salt ?? null,
    vllm_xargs: vllm_xargs ?? null,
    return_cache_miss: body.return_cache_miss ?? null,
    user: body.metadata?.user_id ?? null,
    thinking_token_budget: marksReasoning ? budget : null,
  }
}

/** What makes the prompt. An assistant's message at the end is continued by the model. */
export function promptPart(body: CountTokensRequest): ChatRequest {
  refuseUnsupported(body)
  // What counts for an answer alone may stand here too: clients count what they are about to send.
  refuseForeign(body, MessagesRequest, TemplateFieldsSchema)
  for (const field of REFUSED) {
    if (nonEmpty((body as Record<string, unknown>)[field])) {
      throw new RequestError(`${field} is not supported: leave it out.`, { param: field })
    }
  }
  if ((body.thread ?? null) !== null) throw new ThreadError()
  const { format, effort } = body.output_config ?? {}
  const continues = body.messages.at(-1)?.role === "assistant"
  return {
    model: body.model ?? null,
    messages: chatMessages(body),
    tools: chatTools(body.tools ?? []),
    response_format: chatFormat(format ?? null),
    ...toolChoice(body),
    parallel_tool_calls: body.tool_choice?.disable_parallel_tool_use !== true,
    reasoning_effort: readEffort(effort ?? null),
    chat_template_kwargs: { ...thinkingVariables(body.thinking ?? null), ...body.chat_template_kwargs },
    ...(continues ? { continue_final_message: true, add_generation_prompt: false } : {}),
  }
}

/** Anthropic's API has schemas alone, and keeps them beside the type. */
function chatFormat(format: Readonly<Record<string, unknown>> | null): Record<string, unknown> | null {
  if (format === null) return null
  const param = "output_config.format"
  const { type, schema } = format
  if (type === "json_schema") return { type, json_schema: { schema } }
  throw new RequestError(`${param}.type must be json_schema, got ${JSON.stringify(type)}.`, { param })
}

type Tool = NonNullable<CountTokensRequest["tools"]>[number]

/** A tool of Anthropic's own, such as web_search_20250305. Agents send them to every server: they are left out. */
export function isServerTool({ type }: Tool): boolean {
  return (type ?? "custom") !== "custom"
}

function chatTools(tools: readonly Tool[]): Tools | null {
  const own = tools.filter((tool) => !isServerTool(tool)).map(({ name, description, input_schema }) => {
    const described = (description ?? null) === null ? {} : { description }
    return { type: "function" as const, function: { name, ...described, parameters: input_schema ?? {} } }
  })
  return own.length === 0 ? null : own
}

type ToolChoice = NonNullable<ChatRequest["tool_choice"]>

/**
 * Without tools, a choice that lets the model do without a call says nothing.
 *
 * Errors: `RequestError` for a choice of a tool that is left out, or of any where none is left.
 */
function toolChoice({ tools, tool_choice: choice }: CountTokensRequest): { tool_choice?: ToolChoice } {
  if (choice === null || choice === undefined) return {}
  const chosen = chatToolChoice(choice)
  const dropped = (tools ?? []).filter(isServerTool)
  const isForced = chosen !== "auto" && chosen !== "none"
  const hasTools = (tools ?? []).length > dropped.length
  const wanted = choice.type === "any" && !hasTools ? dropped[0] : dropped.find(({ name }) => name === choice.name)
  if (isForced && wanted !== undefined) {
    const type = JSON.stringify(wanted.type!.slice(0, 60))
    const message = `tool_choice forces a tool of type ${type}, which is left out: only custom tools can be called.`
    throw new RequestError(message, { param: "tool_choice" })
  }
  return !hasTools && !isForced ? {} : { tool_choice: chosen }
}

function chatToolChoice(choice: NonNullable<CountTokensRequest["tool_choice"]>): ToolChoice {
  switch (choice.type) {
    case "auto":
    case "none":
      return choice.type
    case "any":
      return "required"
    case "tool":
      return { type: "function", function: { name: choice.name ?? null } }
    default: {
      const got = JSON.stringify(choice.type.slice(0, 60))
      throw new RequestError(`tool_choice.type must be auto, any, tool or none, got ${got}.`, {
        param: "tool_choice.type",
      })
    }
  }
}

function thinkingVariables(thinking: CountTokensRequest["thinking"] | null): Record<string, unknown> {
  switch (thinking?.type) {
    case undefined:
    case "adaptive":
      return {}
    case "disabled":
      return { enable_thinking: false }
    case "enabled":
      return { enable_thinking: true }
    default: {
      const got = JSON.stringify(thinking?.type.slice(0, 60))
      throw new RequestError(`thinking.type must be disabled, adaptive or enabled, got ${got}.`, {
        param: "thinking.type",
      })
    }
  }
}

/** Errors: `RequestError` for a budget that Anthropic's API would not take either. */
function thinkingBudget({ thinking, max_tokens }: MessagesRequest): number | null {
  if (thinking?.type !== "enabled") return null
  const budget = thinking.budget_tokens ?? null
  if (budget !== null && budget >= MIN_THINKING_BUDGET && budget < max_tokens) return budget
  throw new RequestError(
    `thinking.budget_tokens must be at least ${MIN_THINKING_BUDGET} and less than max_tokens=${max_tokens}, got ` +
      `${budget}.`,
    { param: "thinking.budget_tokens" },
  )
}

function readEffort(effort: string | null): (typeof EFFORTS)[number] | null {
  if (effort === null) return null
  const known = EFFORTS.find((word) => word === effort)
  if (known !== undefined) return known
  throw new RequestError(`output_config.effort must be one of ${EFFORTS.join(", ")}.`, {
    param: "output_config.effort",
  })
}
