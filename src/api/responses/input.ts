/** A response's input items as the chat messages that a template knows. */
import { RequestError } from "../../base/errors.ts"
import type { ChatMessage } from "../schema/messages.ts"
import type { OutputItem, ResponseInputItem, ResponseInputPart } from "../schema/responses.ts"

/** Finds an item that an earlier response gave, or null. */
export type FindItem = (id: string) => OutputItem | null

const TEXT_PARTS: ReadonlySet<string> = new Set(["input_text", "output_text", "text", "summary_text", "reasoning_text"])

/** Errors: `RequestError` whose param is the item's path, for items and parts that cannot be put before the model. */
export function inputMessages(input: string | readonly ResponseInputItem[], findItem: FindItem): ChatMessage[] {
  if (typeof input === "string") return [{ role: "user", content: input }]
  if (input.length === 0) throw new RequestError("input must not be an empty list.", { param: "input" })
  const messages = itemMessages(input.map((item, i) => resolved(item, `input.${i}`, findItem)))
  if (messages.length === 0) throw new RequestError("input must have a message.", { param: "input" })
  return messages
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
    if (type === "reasoning") {
      reasoning = reasoningText(item, path)
      return
    }
    const message = itemMessage(item, type, path)
    const last = messages.at(-1)
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

function itemMessage(item: ResponseInputItem, type: string, path: string): ChatMessage {
  switch (type) {
    case "message":
      return { role: needed(item, "role", path), content: plainContent(item.content, `${path}.content`) }
    case "function_call": {
      const call = {
        id: needed(item, "call_id", path),
        type: "function",
        function: { name: needed(item, "name", path), arguments: needed(item, "arguments", path) },
      }
      return { role: "assistant", content: null, tool_calls: [call] }
    }
    case "function_call_output":
      return {
        role: "tool",
        tool_call_id: needed(item, "call_id", path),
        content: plainContent(item.output, `${path}.output`),
      }
    default:
      throw new RequestError(`${path} is of type ${quoted(type)}, which is not supported.`, { param: `${path}.type` })
  }
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

function partText(part: ResponseInputPart, path: string): string {
  const type = part.type ?? "input_text"
  const text = type === "refusal" ? (part as { refusal?: unknown }).refusal : part.text
  if ((TEXT_PARTS.has(type) || type === "refusal") && typeof text === "string") return text
  if (TEXT_PARTS.has(type)) throw new RequestError(`${path} is of type ${type} but has no text.`, { param: path })
  throw new RequestError(`${path} is of type ${quoted(type)}: this model takes text only.`, { param: path })
}

function reasoningText(item: ResponseInputItem, path: string): string {
  const parts = Array.isArray(item.content) && item.content.length > 0 ? item.content : (item.summary ?? [])
  const text = parts.map((part, p) => partText(part, `${path}.${p}`)).join("\n")
  if (text === "" && (item.encrypted_content ?? null) !== null) {
    throw new RequestError(`${path}.encrypted_content cannot be read by this server.`, {
      param: `${path}.encrypted_content`,
    })
  }
  return text
}

function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 60))
}
