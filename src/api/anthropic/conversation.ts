/** The messages of Anthropic's requests as those of a chat. */
import { RequestError } from "../../base/errors.ts"
import type { AnthropicBlock, AnthropicMessage, CountTokensRequest } from "../schema/anthropic.ts"
import { isRecord } from "../schema/coerce.ts"
import type { ChatMessage } from "../schema/messages.ts"
import { blockText, resultText } from "./content.ts"

type TextPart = { type: "text"; text: string }

/**
 * A line that Claude Code puts before its instructions. It changes with every request, so that no prompt would share a
 * cached prefix with an earlier one.
 */
const BILLING_HEADER = /^x-anthropic-billing-header\b[^\n]*\n*/

/**
 * Blocks that only the server which made them can use: hidden reasoning, and calls of the tools that it ran itself.
 * Their outcome is in the text of the same turn.
 */
const SKIPPED = new Set([
  "redacted_thinking", "server_tool_use", "mcp_tool_use", "mcp_tool_listing", "container_upload", "fallback",
])

/** Whether a block of the assistant's is left out of the prompt. */
export function isSkipped({ type }: AnthropicBlock): boolean {
  return SKIPPED.has(type) || (type.endsWith("_tool_result") && type !== "tool_result")
}

/** Errors: `RequestError` whose param is the block's path. */
export function chatMessages({ system = null, messages }: CountTokensRequest): ChatMessage[] {
  return [...systemMessages(system ?? "", "system"), ...messages.flatMap(messagesOf)]
}

/** Instructions without the billing header; no message where nothing is left. */
function systemMessages(content: AnthropicMessage["content"], path: string): ChatMessage[] {
  const texts = typeof content === "string" ? [content] : content.map((block, b) => blockText(block, `${path}.${b}`))
  const kept = texts.map((text) => text.replace(BILLING_HEADER, "")).filter((text) => text !== "")
  if (kept.length === 0) return []
  return [{ role: "system", content: typeof content === "string" ? kept[0]! : kept.map(textPart) }]
}

/** A message's results are messages of their own to a template, before what the user says. */
function messagesOf({ role, content }: AnthropicMessage, i: number): ChatMessage[] {
  const path = `messages.${i}.content`
  if (role === "system") return systemMessages(content, path)
  if (typeof content === "string") return [{ role, content }]
  return role === "user" ? userMessages(content, path) : [assistantMessage(content, path)]
}

function userMessages(content: readonly AnthropicBlock[], path: string): ChatMessage[] {
  const texts: TextPart[] = []
  const results: ChatMessage[] = []
  content.forEach((block, b) => {
    if (block.type === "tool_result") results.push(toolResult(block, `${path}.${b}`))
    else texts.push(textPart((results.length > 0 ? resultText : blockText)(block, `${path}.${b}`)))
  })
  return texts.length === 0 ? results : [...results, { role: "user", content: texts }]
}

function assistantMessage(content: readonly AnthropicBlock[], path: string): ChatMessage {
  const texts: TextPart[] = []
  const calls: NonNullable<ChatMessage["tool_calls"]> = []
  const thoughts: string[] = []
  content.forEach((block, b) => {
    if (isSkipped(block)) return
    if (block.type === "tool_use") calls.push(toolCall(block, `${path}.${b}`))
    else if (block.type === "thinking") thoughts.push(needed(block, "thinking", `${path}.${b}`))
    else if (block.type === "compaction") texts.push(...summary(block))
    else texts.push(textPart(blockText(block, `${path}.${b}`)))
  })
  const message: ChatMessage = { role: "assistant", content: texts }
  if (calls.length > 0) message.tool_calls = calls
  if (thoughts.length > 0) message.reasoning = thoughts.join("\n")
  return message
}

function textPart(text: string): TextPart {
  return { type: "text", text }
}

/** What another server put in place of earlier turns, unless it is encrypted. */
function summary({ content }: AnthropicBlock): TextPart[] {
  return typeof content === "string" ? [textPart(content)] : []
}

function toolCall(block: AnthropicBlock, path: string): NonNullable<ChatMessage["tool_calls"]>[number] {
  const call = { name: needed(block, "name", path), arguments: block.input ?? {} }
  return { id: needed(block, "id", path), type: "function", function: call }
}

function toolResult(block: AnthropicBlock, path: string): ChatMessage {
  const content = block.content ?? ""
  if (isRecord(content)) {
    throw new RequestError(`${path}.content must be a text or a list of blocks.`, { param: `${path}.content` })
  }
  const result = typeof content === "string"
    ? content
    : content.map((part, p) => textPart(resultText(part, `${path}.content.${p}`)))
  return { role: "tool", tool_call_id: needed(block, "tool_use_id", path), content: result }
}

type NeededField = "thinking" | "id" | "name" | "tool_use_id"

function needed(block: AnthropicBlock, field: NeededField, path: string): string {
  const value = block[field]
  if (typeof value === "string") return value
  throw new RequestError(`${path}, of type ${block.type}, must have \`${field}\`.`, { param: `${path}.${field}` })
}
