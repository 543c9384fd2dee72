/** For templates of one call at a time: calls made at once, as calls one after the other, each with its result. */
import { withText } from "./messages.ts"
import type { TemplateMessage } from "./messages.ts"

export function splitCalls(messages: readonly TemplateMessage[]): TemplateMessage[] {
  const turns: TemplateMessage[] = []
  for (let i = 0; i < messages.length; i++) {
    const message = messages[i]!
    if ((message.tool_calls ?? []).length < 2) {
      turns.push(message)
      continue
    }
    const results: TemplateMessage[] = []
    while (messages[i + 1]?.role === "tool") results.push(messages[++i]!)
    for (const turn of inTurn(message, results)) turns.push(turn)
  }
  return turns
}

/** Results that name none of the calls are taken in the order of the calls that have no other; the rest come last. */
function inTurn(message: TemplateMessage, results: readonly TemplateMessage[]): TemplateMessage[] {
  const { tool_calls: calls = [], reasoning: _reasoning, reasoning_content: _content, ...bare } = message
  const named = new Map<unknown, TemplateMessage[]>(calls.map((call) => [call["id"], []]))
  const unnamed: TemplateMessage[] = []
  for (const result of results) (named.get(result["tool_call_id"]) ?? unnamed).push(result)
  let numTaken = 0
  const turns = calls.flatMap((call, c) => {
    const own = named.get(call["id"])!
    named.set(call["id"], [])
    const taken = own.length > 0 ? own : unnamed.slice(numTaken, numTaken + 1)
    if (own.length === 0) numTaken += taken.length
    return [{ ...(c === 0 ? message : withText(bare, "")), tool_calls: [call] }, ...taken]
  })
  return [...turns, ...unnamed.slice(numTaken)]
}
