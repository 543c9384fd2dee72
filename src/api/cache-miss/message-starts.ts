/**
 * Where each message of a conversation begins in its prompt. Marks are put around the texts and rendered with them;
 * what is between two texts belongs to the second, but where the first message has calls.
 */
import { textsOf } from "../chat/messages.ts"
import type { TemplateMessage } from "../chat/messages.ts"

export interface MessageStart {
  /** Of the message. */
  readonly index: number
  /** UTF-16 units of the prompt before it. */
  readonly offset: number
}

const MARK = /\[\[(begin|end) of message (\d+)\]\]/g

/** In order; null where the marks have changed more of the prompt than themselves. */
export function messageStarts(
  messages: readonly TemplateMessage[], prompt: string, render: (marked: readonly TemplateMessage[]) => string,
): MessageStart[] | null {
  const marked = render(messages.map(withMarks))
  const starts: MessageStart[] = []
  let numMarkUnits = 0
  for (const match of marked.matchAll(MARK)) {
    const [mark, kind] = match
    const marks = Number(match[2])
    const offset = match.index - numMarkUnits
    numMarkUnits += mark.length
    const hasEnded = kind === "end" && messages[marks]?.tool_calls === undefined
    const index = hasEnded ? marks + 1 : marks
    const isNew = index < messages.length && index > (starts.at(-1)?.index ?? -1)
    if (isNew) starts.push({ index, offset })
  }
  return marked.replaceAll(MARK, "") === prompt ? starts : null
}

/** Marks are within the white space around a text, which templates may trim; without a text, at the first call. */
function withMarks(message: TemplateMessage, index: number): TemplateMessage {
  const begin = `[[begin of message ${index}]]`
  const end = `[[end of message ${index}]]`
  const texts = textsOf(message)
  const first = texts.findIndex((text) => text.trim() !== "")
  if (first >= 0) {
    const last = texts.findLastIndex((text) => text.trim() !== "")
    const marked = texts.map((text, i) => {
      const start = text.length - text.trimStart().length
      const stop = text.trimEnd().length
      return text.slice(0, start) + (i === first ? begin : "") + text.slice(start, stop) +
        (i === last ? end : "") + text.slice(Math.max(start, stop))
    })
    const isText = typeof message.content === "string"
    return { ...message, content: isText ? marked[0]! : marked.map((text) => ({ type: "text" as const, text })) }
  }
  if (message.tool_calls === undefined) return message
  const [call, ...more] = message.tool_calls
  const named = { ...call!, function: { ...call!.function, name: begin + call!.function.name } }
  return { ...message, tool_calls: [named, ...more] }
}
