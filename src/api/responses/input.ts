/** A response's input items as the chat messages that a template knows. */
import { RequestError } from "../../base/errors.ts"
import { omittedContent } from "../chat/omitted-content.ts"
import { isRecord } from "../schema/coerce.ts"
import type { ChatMessage } from "../schema/messages.ts"
import type { OutputItem, ResponseInputItem, ResponseInputPart } from "../schema/responses.ts"
import { foreignCall, isForeignResult, isSkipped } from "./foreign-items.ts"
import { shownName } from "./tool-names.ts"

/** Finds an item that an earlier response gave, or null. */
export type FindItem = (id: string) => OutputItem | null

const TEXT_PARTS: ReadonlySet<string> = new Set([
  "input_text", "output_text", "text", "summary_text", "reasoning_text", "refusal",
])

/**
 * None for a list of nothing, or of what is skipped.
 *
 * Errors: `RequestError` whose param is the item's path, for items and parts that cannot be put before the model.
 */
export function inputMessages(input: string | readonly ResponseInputItem[], findItem: FindItem): ChatMessage[] {
  if (typeof input === "string") return [{ role: "user", content: input }]
  return itemMessages(input.map((item, i) => resolved(item, `input.${i}`, findItem)))
}

/** The item itself, or the one that it refers to. */
function resolved(item: ResponseInputItem, path: string, findItem: FindItem): ResponseInputItem {
  if (item.type !== "item_reference") return item
  const id = needed(item, "id", path)
  const found = findItem(id)
  if (found !== null) return found
  throw new RequestError(`${path}: there is no stored item ${quoted(id)}.`, { status: 404, param: `${path}.id` })
}

/** Reasoning that no message follows is left out. Errors: as those of `inputMessages`. */
export function itemMessages(items: readonly ResponseInputItem[]): ChatMessage[] {
  const messages: ChatMessage[] = []
  /** Goes with the assistant's next message. */
  let reasoning: string | null = null
  items.forEach((item, i) => {
    const path = `input.${i}`
    const type = item.type ?? "message"
    if (isSkipped(type)) return
    if (type === "reasoning") {
      reasoning = reasoningText(item, path)
      return
    }
    const last = messages.at(-1)
    const message = itemMessage(item, { type, path, isBehindResult: last?.role === "tool" })
    if (message.tool_calls != null && last?.role === "assistant" && reasoning === null) {
      // Calls of one turn are items of their own here, and one message to a template.
      messages[messages.length - 1] = { ...last, tool_calls: [...(last.tool_calls ?? []), ...message.tool_calls] }
      return
    }
    const thinks = message.role === "assistant" && reasoning !== null
    messages.push(thinks ? { ...message, reasoning } : message)
    reasoning = null
  })
  return messages
}

interface ItemPlace {
  readonly type: string
  readonly path: string
  /** The result of a call is right before it; see omitted-content.ts. */
  readonly isBehindResult: boolean
}

function itemMessage(item: ResponseInputItem, { type, path, isBehindResult }: ItemPlace): ChatMessage {
  switch (type) {
    case "message": {
      const role = needed(item, "role", path)
      const read = isBehindResult && role === "user" ? resultContent : plainContent
      return { role, content: read(item.content, `${path}.content`) }
    }
    case "function_call": {
      const name = shownName({ name: needed(item, "name", path), namespace: item.namespace || null })
      const args = isRecord(item.arguments) ? item.arguments : needed(item, "arguments", path)
      const call = { id: needed(item, "call_id", path), type: "function", function: { name, arguments: args } }
      return { role: "assistant", content: null, tool_calls: [call] }
    }
    case "function_call_output":
      return {
        role: "tool",
        tool_call_id: needed(item, "call_id", path),
        content: resultContent(item.output, `${path}.output`),
      }
  }
  const call = foreignCall(item, type)
  if (call !== null) return call
  if (isForeignResult(type)) {
    const id = item.call_id ?? item.id ?? null
    const content = resultContent(item.output ?? item.status ?? "", `${path}.output`)
    return { role: "tool", ...(id === null ? {} : { tool_call_id: id }), content }
  }
  throw new RequestError(`${path} is of type ${quoted(type)}, which is not supported.`, { param: `${path}.type` })
}

type NeededField = "role" | "call_id" | "name" | "arguments" | "id"

function needed(item: ResponseInputItem, field: NeededField, path: string): string {
  const value = item[field]
  if (typeof value === "string" && (value !== "" || field === "arguments")) return value
  const kind = item.type ?? "message"
  throw new RequestError(`${path}, of type ${quoted(kind)}, must have \`${field}\`.`, { param: `${path}.${field}` })
}

function plainContent(content: ResponseInputItem["content"], path: string): NonNullable<ChatMessage["content"]> {
  if (content === null || content === undefined) throw new RequestError(`${path} must be given.`, { param: path })
  if (typeof content === "string") return content
  return content.map((part, p) => ({ type: "text", text: partText(part, `${path}.${p}`) }))
}

/** What came of a call. A part that is no text does not end the conversation: see omitted-content.ts. */
function resultContent(output: ResponseInputItem["output"], path: string): NonNullable<ChatMessage["content"]> {
  if (output === null || output === undefined) throw new RequestError(`${path} must be given.`, { param: path })
  if (typeof output === "string") return output
  const parts: readonly ResponseInputPart[] = Array.isArray(output) ? output : [output]
  return parts.map((part, p) => ({ type: "text", text: resultText(part, `${path}.${p}`) }))
}

/** A shell's output, say, has no type but fields of its own. */
function resultText(part: ResponseInputPart, path: string): string {
  const type = part.type ?? (typeof part.text === "string" ? "input_text" : null)
  if (type === null) return JSON.stringify(part)
  return TEXT_PARTS.has(type) ? partText(part, path) : omittedContent(type)
}

function partText(part: ResponseInputPart, path: string): string {
  const type = part.type ?? "input_text"
  const text = type === "refusal" ? (part as { refusal?: unknown }).refusal : part.text
  if (TEXT_PARTS.has(type) && typeof text === "string") return text
  if (TEXT_PARTS.has(type)) throw new RequestError(`${path} is of type ${type} but has no text.`, { param: path })
  throw new RequestError(`${path} is of type ${quoted(type)}: this model takes text only.`, { param: path })
}

/** Null for what another server has encrypted: only that one can read it. */
function reasoningText(item: ResponseInputItem, path: string): string | null {
  const parts = Array.isArray(item.content) && item.content.length > 0 ? item.content : (item.summary ?? [])
  const text = parts.map((part, p) => partText(part, `${path}.${p}`)).join("\n")
  return text === "" && (item.encrypted_content ?? null) !== null ? null : text
}

function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 60))
}
