/** Anthropic's content blocks as text. */
import { RequestError } from "../../base/errors.ts"
import { omittedContent } from "../chat/omitted-content.ts"
import type { AnthropicContent } from "../schema/anthropic.ts"
import { isRecord } from "../schema/coerce.ts"

/** Errors: `RequestError` on `path` for a block that has no text. */
export function blockText(block: AnthropicContent, path: string): string {
  const text = readText(block)
  if (text !== null) return text
  if (block.type === "text") throw new RequestError(`${path} has no text.`, { param: path })
  const type = JSON.stringify(block.type.slice(0, 60))
  throw new RequestError(`${path} is of type ${type}, which cannot be put before this model here.`, { param: path })
}

/** The text of a block of a tool's result, or what stands for it. Errors: `RequestError` for a text without one. */
export function resultText(block: AnthropicContent, path: string): string {
  if (block.type === "text") return blockText(block, path)
  return readText(block) ?? omittedContent(block.type)
}

/** Null where there is none. */
function readText({ type, text, title, source, content, tool_name: toolName }: AnthropicContent): string | null {
  switch (type) {
    case "text":
      return text ?? null
    case "document":
      return isRecord(source) ? documentText(source) : null
    case "search_result": {
      const found = textOfAll(content)
      return found === null ? null : [title, source, found].filter((part) => typeof part === "string").join("\n")
    }
    case "tool_reference":
      return toolName ?? null
    default:
      return null
  }
}

function documentText({ type, data, content }: Readonly<Record<string, unknown>>): string | null {
  if (type === "content") return textOfAll(content)
  return type === "text" && typeof data === "string" ? data : null
}

/** Of a text, or of blocks which are all texts. */
function textOfAll(content: unknown): string | null {
  if (typeof content === "string") return content
  if (!Array.isArray(content)) return null
  const texts: unknown[] = content.map((block) => (isRecord(block) && block["type"] === "text" ? block["text"] : null))
  return texts.every((text) => typeof text === "string") ? texts.join("\n") : null
}
