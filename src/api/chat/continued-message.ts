/**
 * A last message that the model continues: a mark is put behind its text, and the rendered prompt ends where the
 * mark stands. What the text itself says plays no part, so it may be anything, or empty.
 */
import { RequestError } from "../../base/errors.ts"
import { textOf } from "./messages.ts"
import type { TemplateMessage } from "./messages.ts"

const MARK = "[[the message goes on here]]"
/** White space behind the mark is missing where the template trims texts. */
const MARKED_END = `${MARK} `

/** `messages` with the mark. Errors: `RequestError` where the last one has calls and no text to continue. */
export function withMark(messages: readonly TemplateMessage[]): TemplateMessage[] {
  const last = messages.at(-1)!
  if (last.tool_calls !== undefined && textOf(last) === "") {
    throw new RequestError("continue_final_message needs a last message with a text: this one has tool calls alone.")
  }
  return [...messages.slice(0, -1), { ...last, content: markedContent(last.content) }]
}

function markedContent(content: TemplateMessage["content"]): TemplateMessage["content"] {
  if (typeof content === "string") return content + MARKED_END
  const text = (content.at(-1)?.text ?? "") + MARKED_END
  return [...content.slice(0, -1), { type: "text", text }]
}

/** `rendered` up to the mark behind `text`. Errors: `RequestError` where the template has left the message out. */
export function cutAtMark(rendered: string, text: string): string {
  const end = rendered.lastIndexOf(MARK)
  if (end < 0) throw new RequestError("continue_final_message needs a last message that the chat template writes out.")
  const head = rendered.slice(0, end)
  const isTrimmed = !rendered.startsWith(MARKED_END, end)
  // White space that would have been trimmed at the end of the text is not part of the continuation. In a text of
  // nothing else it was trimmed before the mark.
  const space = text.trim() === "" ? "" : text.slice(text.trimEnd().length)
  return isTrimmed && space !== "" && head.endsWith(space) ? head.slice(0, -space.length) : head
}
