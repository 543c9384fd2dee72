/** Chat messages as a template wants them: texts joined or kept in parts, tool arguments as objects. */
import { RequestError } from "../base/errors.ts"
import { isRecord } from "./schema/coerce.ts"
import type { ChatMessage, ContentPart } from "./schema/messages.ts"

/** string: a message's text in one piece. openai: a list of text parts, for templates that loop over them. */
export type ContentFormat = "string" | "openai"

export type TemplateMessage = Record<string, unknown> & { role: string; content: string | { type: "text"; text: string }[] }

const TEXT_PARTS: ReadonlySet<string> = new Set(["text", "input_text", "output_text", "refusal", "thinking"])
const MEDIA_PARTS = /^(input_)?(image|audio|video)/

export interface MessageOptions {
  readonly format: ContentFormat
  /** For the message about pictures and sounds. */
  readonly modelName: string
}

/** Errors: `RequestError` for parts that are not text, and for tool arguments that are not a JSON object. */
export function templateMessages(messages: readonly ChatMessage[], options: MessageOptions): TemplateMessage[] {
  return messages.map((message, i) => templateMessage(message, i, options))
}

function templateMessage(message: ChatMessage, i: number, { format, modelName }: MessageOptions): TemplateMessage {
  const texts = contentTexts(message.content, i, modelName)
  const content = format === "string" ? texts.join("\n") : texts.map((text) => ({ type: "text" as const, text }))
  const result: TemplateMessage = { role: message.role, content }
  if (typeof message.name === "string") result["name"] = message.name
  if (typeof message.tool_call_id === "string") result["tool_call_id"] = message.tool_call_id
  const reasoning = message.reasoning ?? message.reasoning_content ?? null
  if (message.role === "assistant" && reasoning !== null) {
    // Templates know one name or the other.
    result["reasoning"] = reasoning
    result["reasoning_content"] = reasoning
  }
  const calls = message.tool_calls ?? []
  if (calls.length > 0) result["tool_calls"] = calls.map((call, c) => withParsedArguments(call, `messages.${i}.tool_calls.${c}`))
  return result
}

/** The text of a message's first answer-like content, joined as a template would see it. */
export function messageText(message: ChatMessage): string {
  const { content } = message
  if (typeof content === "string") return content
  return (content ?? []).map((part) => (typeof part === "string" ? part : (part.text ?? ""))).join("\n")
}

function contentTexts(content: ChatMessage["content"], i: number, modelName: string): string[] {
  if (content === null || content === undefined) return []
  if (typeof content === "string") return [content]
  return content.map((part, p) => (typeof part === "string" ? part : partText(part, `messages.${i}.content.${p}`, modelName)))
}

function partText(part: ContentPart, path: string, modelName: string): string {
  const type = part.type ?? "text"
  const text = part.text ?? (part as Record<string, unknown>)[type]
  if (TEXT_PARTS.has(type) && typeof text === "string") return text
  if (TEXT_PARTS.has(type)) throw new RequestError(`${path} is of type ${type} but has no text.`, { param: path })
  if (MEDIA_PARTS.test(type)) throw new RequestError(`${modelName} is not a multimodal model: ${path} is of type ${type}.`)
  throw new RequestError(`${path} is of unknown type ${JSON.stringify(type.slice(0, 40))}.`)
}

type ToolCall = NonNullable<NonNullable<ChatMessage["tool_calls"]>[number]>

function withParsedArguments(call: ToolCall, path: string): Record<string, unknown> {
  const raw = call.function.arguments ?? {}
  return { ...call, function: { ...call.function, arguments: typeof raw === "string" ? parseArguments(raw, path) : raw } }
}

function parseArguments(text: string, path: string): Record<string, unknown> {
  const param = `${path}.function.arguments`
  if (text.trim() === "") return {}
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new RequestError(`${param} is not valid JSON.`, { param })
  }
  if (!isRecord(value)) throw new RequestError(`${param} must be a JSON object.`, { param })
  return value
}
