/** Anthropic's requests as the chat requests that they are for the model. */
import { RequestError } from "../../base/errors.ts"
import { ChatRequest, EFFORTS } from "../schema/chat.ts"
import { MessagesRequest } from "../schema/anthropic.ts"
import type { AnthropicBlock, AnthropicContent, AnthropicMessage, CountTokensRequest } from "../schema/anthropic.ts"
import { TemplateFieldsSchema } from "../schema/messages.ts"
import type { ChatMessage } from "../schema/messages.ts"
import type { Tools } from "../tools.ts"
import { refuseForeign, refuseUnsupported } from "../unsupported.ts"

/** Fields that would change the answer in a way that is not known here. */
const REFUSED = ["mcp_servers", "container", "context_management", "speed"] as const

const MIN_THINKING_BUDGET = 1024

/** Errors: `RequestError` whose param is the path of what cannot be honoured. */
export function chatRequest(body: MessagesRequest): ChatRequest {
  refuseForeign(body, MessagesRequest, ChatRequest)
  const { max_tokens, stop_sequences, temperature, top_k, top_p, stream, priority, cache_salt, vllm_xargs } = body
  return {
    ...promptPart(body),
    max_tokens,
    stop: stop_sequences ?? null,
    temperature: temperature ?? null,
    top_k: top_k ?? null,
    top_p: top_p ?? null,
    stream: stream ?? false,
    priority: priority ?? null,
    cache_salt: cache_salt ?? null,
    vllm_xargs: vllm_xargs ?? null,
    return_cache_miss: body.return_cache_miss ?? null,
    user: body.metadata?.user_id ?? null,
    thinking_token_budget: thinkingBudget(body),
  }
}

/** What makes the prompt. An assistant's message at the end is one that the model goes on with. */
export function promptPart(body: CountTokensRequest): ChatRequest {
  refuseUnsupported(body)
  // What counts for an answer alone may stand here too: clients count what they are about to send.
  refuseForeign(body, MessagesRequest, TemplateFieldsSchema)
  for (const field of REFUSED) {
    if (((body as Record<string, unknown>)[field] ?? null) !== null) {
      throw new RequestError(`${field} is not supported: leave it out.`, { param: field })
    }
  }
  const { format, effort } = body.output_config ?? {}
  if ((format ?? null) !== null) {
    throw new RequestError("output_config.format is not supported yet.", { param: "output_config.format" })
  }
  const messages = [...systemMessages(body.system ?? null), ...body.messages.flatMap(chatMessages)]
  const continues = body.messages.at(-1)?.role === "assistant"
  return {
    model: body.model ?? null,
    messages,
    tools: chatTools(body.tools ?? []),
    ...(body.tool_choice == null ? {} : { tool_choice: chatToolChoice(body.tool_choice) }),
    parallel_tool_calls: body.tool_choice?.disable_parallel_tool_use !== true,
    reasoning_effort: readEffort(effort ?? null),
    chat_template_kwargs: { ...thinkingVariables(body.thinking ?? null), ...body.chat_template_kwargs },
    ...(continues ? { continue_final_message: true, add_generation_prompt: false } : {}),
  }
}

function systemMessages(system: CountTokensRequest["system"] | null): ChatMessage[] {
  if (system === null || system === undefined || system.length === 0) return []
  const content = typeof system === "string" ? system : system.map((block, b) => textPart(block, `system.${b}`))
  return [{ role: "system", content }]
}

/** A message's results are messages of their own to a template, before what the user says. */
function chatMessages({ role, content }: AnthropicMessage, i: number, all: readonly AnthropicMessage[]): ChatMessage[] {
  if (typeof content === "string") return [{ role, content }]
  const texts: { type: string; text: string }[] = []
  const calls: NonNullable<ChatMessage["tool_calls"]> = []
  const results: ChatMessage[] = []
  const thoughts: string[] = []
  content.forEach((block, b) => {
    const path = `messages.${i}.content.${b}`
    if (block.type === "tool_use" && role === "assistant") calls.push(toolCall(block, path))
    else if (block.type === "tool_result" && role === "user") results.push(toolResult(block, path))
    else if (block.type === "thinking" && role === "assistant") thoughts.push(needed(block, "thinking", path))
    else texts.push(textPart(block, path))
  })
  // At the end it is one that the model goes on with, also without any text.
  const isPrefill = role === "assistant" && i === all.length - 1
  if (texts.length === 0 && calls.length === 0 && thoughts.length === 0 && !isPrefill) return results
  const message: ChatMessage = { role, content: texts }
  if (calls.length > 0) message.tool_calls = calls
  if (thoughts.length > 0) message.reasoning = thoughts.join("\n")
  return [...results, message]
}

function textPart(block: AnthropicContent, path: string): { type: string; text: string } {
  if (block.type === "text" && typeof block.text === "string") return { type: "text", text: block.text }
  if (block.type === "text") throw new RequestError(`${path} has no text.`, { param: path })
  const source = block.source ?? {}
  if (block.type === "document" && source["type"] === "text" && typeof source["data"] === "string") {
    return { type: "text", text: source["data"] }
  }
  const type = JSON.stringify(block.type.slice(0, 60))
  throw new RequestError(`${path} is of type ${type}, which cannot be put before this model here.`, { param: path })
}

function toolCall(block: AnthropicBlock, path: string): NonNullable<ChatMessage["tool_calls"]>[number] {
  const call = { name: needed(block, "name", path), arguments: block.input ?? {} }
  return { id: needed(block, "id", path), type: "function", function: call }
}

function toolResult(block: AnthropicBlock, path: string): ChatMessage {
  const { content } = block
  const parts = typeof content === "string" || content === null || content === undefined
    ? (content ?? "")
    : content.map((part, p) => textPart(part, `${path}.content.${p}`))
  return { role: "tool", tool_call_id: needed(block, "tool_use_id", path), content: parts }
}

type NeededField = "thinking" | "id" | "name" | "tool_use_id"

function needed(block: AnthropicBlock, field: NeededField, path: string): string {
  const value = block[field]
  if (typeof value === "string") return value
  throw new RequestError(`${path}, of type ${block.type}, must have \`${field}\`.`, { param: `${path}.${field}` })
}

function chatTools(tools: NonNullable<CountTokensRequest["tools"]>): Tools | null {
  if (tools.length === 0) return null
  return tools.map(({ type, name, description, input_schema }, i) => {
    if ((type ?? "custom") !== "custom") {
      throw new RequestError(`tools.${i} is of type ${JSON.stringify(type)}: only custom tools are supported.`, {
        param: `tools.${i}.type`,
      })
    }
    const described = (description ?? null) === null ? {} : { description }
    return { type: "function", function: { name, ...described, parameters: input_schema ?? {} } }
  })
}

type ToolChoice = NonNullable<ChatRequest["tool_choice"]>

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
