/** Chat messages as a template wants them: texts joined or kept in parts, arguments of calls as objects. */
import { RequestError } from "../../base/errors.ts"
import type { ContentFormat } from "../../text/content-format.ts"
import type { JsonLimits } from "../../base/json-scan.ts"
import { ArgumentBudget, toolArguments } from "../../text/tool-arguments.ts"
import { omittedContent } from "./omitted-content.ts"
import type { ChatMessage, ContentPart } from "../schema/messages.ts"

interface TextPart {
  type: "text"
  text: string
}

export type TemplateMessage = Record<string, unknown> & {
  role: string
  content: string | TextPart[]
  tool_calls?: TemplateCall[]
}

export type TemplateCall = Record<string, unknown> & {
  function: { name: string; arguments: Readonly<Record<string, unknown>> }
}

const TEXT_PARTS: ReadonlySet<string> = new Set(["text", "input_text", "output_text", "refusal", "thinking"])
const MEDIA_PARTS = /^(input_)?(image|audio|video)/

export interface MessageOptions {
  readonly format: ContentFormat
  /** For the message about pictures and sounds. */
  readonly modelName: string
  /** What all arguments may hold that are given as text. */
  readonly argumentLimits: JsonLimits
}

/** Arguments of a call that are no object and became an empty one. */
export interface IgnoredArguments {
  /** The field's path. */
  readonly param: string
  readonly problem: string
}

export interface TemplateMessages {
  readonly messages: readonly TemplateMessage[]
  readonly ignoredArguments: readonly IgnoredArguments[]
}

/**
 * Errors: `RequestError` for parts that are not text, but in the results of tools (see omitted-content.ts), and for
 * more in the texts of arguments than the limits allow.
 */
export function templateMessages(given: readonly ChatMessage[], options: MessageOptions): TemplateMessages {
  const { format, modelName, argumentLimits } = options
  const ignoredArguments: IgnoredArguments[] = []
  const budget = new ArgumentBudget(argumentLimits)
  const readArguments = (sent: unknown, param: string) => {
    const { value, problem } = toolArguments(sent, budget)
    if (problem !== null) ignoredArguments.push({ param, problem })
    return value
  }
  const messages = given.map((message, i) => {
    const isResult = message.role === "tool" || (message.role === "user" && given[i - 1]?.role === "tool")
    const texts = contentTexts(message.content, { i, isResult, modelName })
    return templateMessage(message, texts, format, (sent, c) => {
      return readArguments(sent, `messages.${i}.tool_calls.${c}.function.arguments`)
    })
  })
  return { messages, ignoredArguments }
}

function templateMessage(
  message: ChatMessage, texts: readonly string[], modelFormat: ContentFormat,
  readArguments: (sent: unknown, callIndex: number) => Readonly<Record<string, unknown>>,
): TemplateMessage {
  // Templates write results of tools as they are, also those that take apart what others say.
  const format = message.role === "tool" ? "string" : modelFormat
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
  if (calls.length > 0) {
    result.tool_calls = calls.map((call, c) => {
      return { ...call, function: { ...call.function, arguments: readArguments(call.function.arguments, c) } }
    })
  }
  return result
}

/** The texts of a message's parts as the template gets them. */
export function textsOf({ content }: TemplateMessage): string[] {
  return typeof content === "string" ? [content] : content.map(({ text }) => text)
}

export function textOf(message: TemplateMessage): string {
  return textsOf(message).join("\n")
}

/** The message with another text, in the form of the one it has. */
export function withText(message: TemplateMessage, text: string): TemplateMessage {
  return { ...message, content: typeof message.content === "string" ? text : [{ type: "text", text }] }
}

/** Texts of several messages as those of one. */
export function joinedTexts(texts: readonly string[]): string {
  return texts.filter((text) => text !== "").join("\n\n")
}

/** A message's text in one piece, "" without any. */
export function messageText(message: ChatMessage): string {
  return plainTexts(message).join("\n")
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
