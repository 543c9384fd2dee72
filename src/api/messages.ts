/** Chat messages as a template wants them: texts joined or kept in parts. */
import { RequestError } from "../base/errors.ts"
import type { ContentFormat } from "../text/content-format.ts"
import { omittedContent } from "./omitted-content.ts"
import type { ChatMessage, ContentPart } from "./schema/messages.ts"

interface TextPart {
  type: "text"
  text: string
}

export type TemplateMessage = Record<string, unknown> & { role: string; content: string | TextPart[] }

const TEXT_PARTS: ReadonlySet<string> = new Set(["text", "input_text", "output_text", "refusal", "thinking"])
const MEDIA_PARTS = /^(input_)?(image|audio|video)/

export interface MessageOptions {
  readonly format: ContentFormat
  /** For the message about pictures and sounds. */
  readonly modelName: string
}

/** Errors: `RequestError` for parts that are not text, but in the results of tools (see omitted-content.ts). */
export function templateMessages(messages: readonly ChatMessage[], options: MessageOptions): TemplateMessage[] {
  return messages.map((message, i) => {
    const isResult = message.role === "tool" || (message.role === "user" && messages[i - 1]?.role === "tool")
    const texts = contentTexts(message.content, { i, isResult, modelName: options.modelName })
    return templateMessage(message, texts, options)
  })
}

function templateMessage(message: ChatMessage, texts: readonly string[], { format }: MessageOptions): TemplateMessage {
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
  if (calls.length > 0) result["tool_calls"] = calls
  return result
}

/** The text of a message as the template gets it; of one in parts, its first part's. */
export function textOf({ content }: TemplateMessage): string {
  return typeof content === "string" ? content : (content[0]?.text ?? "")
}

/** A message's text in one piece, "" without any. */
export function messageText(message: ChatMessage): string {
  return plainTexts(message).join("\n")
}

/** The text of a message's last part. */
export function lastText(message: ChatMessage): string {
  return plainTexts(message).at(-1) ?? ""
}

function plainTexts({ content }: ChatMessage): string[] {
  if (typeof content === "string") return [content]
  return (content ?? []).map((part) => (typeof part === "string" ? part : (part.text ?? "")))
}

function contentTexts(
  content: ChatMessage["content"], { i, isResult, modelName }: { i: number; isResult: boolean; modelName: string },
): string[] {
  if (content === null || content === undefined) return []
  if (typeof content === "string") return [content]
  return content.map((part, p) => {
    if (typeof part === "string") return part
    const type = part.type ?? "text"
    if (isResult && !TEXT_PARTS.has(type)) return omittedContent(type)
    return partText(part, `messages.${i}.content.${p}`, modelName)
  })
}

function partText(part: ContentPart, path: string, modelName: string): string {
  const type = part.type ?? "text"
  const text = part.text ?? (part as Record<string, unknown>)[type]
  if (TEXT_PARTS.has(type) && typeof text === "string") return text
  if (TEXT_PARTS.has(type)) throw new RequestError(`${path} is of type ${type} but has no text.`, { param: path })
  if (MEDIA_PARTS.test(type)) {
    throw new RequestError(`${modelName} is not a multimodal model: ${path} is of type ${type}.`, { param: path })
  }
  throw new RequestError(`${path} is of unknown type ${JSON.stringify(type.slice(0, 40))}.`, { param: path })
}
