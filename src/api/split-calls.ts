/** Calls that a model made at once as calls one after the other, each with its result, for templates of one at a time. */
import { withText } from "./messages.ts"
import type { TemplateMessage } from "./messages.ts"

export function splitCalls(messages: readonly TemplateMessage[]): TemplateMessage[] {
  const turns: TemplateMessage[] = []
  for (let i = 0; i < messages.length; i++) {
    const message = messages[i]!
    const calls = message.tool_calls ?? []
    if (calls.length < 2) {
      turns.push(message)
      continue
    }
    const results: TemplateMessage[] = []
    while (messages[i + 1]?.role === "tool") results.push(messages[++i]!)
    const { reasoning: _reasoning, reasoning_content: _content, ...bare } = message
    calls.forEach((call, c) => {
      turns.push({ ...(c === 0 ? message : withText(bare, "")), tool_calls: [call] })
      const isOfCall = (result: TemplateMessage): boolean => result["tool_call_id"] === call["id"]
      // Results that name no call are in the order of the calls; those of none come last.
      const own = results.some(isOfCall) ? results.filter(isOfCall) : results.filter((_, r) => r === 0)
      const taken = c === calls.length - 1 ? [...results] : own
      for (const result of taken) results.splice(results.indexOf(result), 1)
      turns.push(...taken)
    })
  }
  return turns
}
