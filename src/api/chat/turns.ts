/**
 * Conversations in the form that a template takes. Many take one system message, in front, or want users and assistants
 * to take turns; clients send several of either. Texts are joined and moved then, and none is left out.
 */
import { joinedTexts, textOf, withText } from "./messages.ts"
import type { TemplateMessage } from "./messages.ts"
import { splitCalls } from "./split-calls.ts"

/** What a template has a place for. */
export interface TurnRules {
  readonly takesSystem: boolean
  readonly takesSystems: boolean
  readonly takesLateSystem: boolean
  readonly takesUsers: boolean
  readonly takesAssistants: boolean
  /** Several calls in one message. */
  readonly takesManyCalls: boolean
}

/** One system message in front, and strict turns. */
export const STRICT_TURNS = {
  takesSystems: false, takesLateSystem: false, takesUsers: false, takesAssistants: false, takesManyCalls: false,
}

export const ANY_TURNS: TurnRules = {
  takesSystem: true, takesSystems: true, takesLateSystem: true, takesUsers: true, takesAssistants: true,
  takesManyCalls: true,
}

/** `given` with as little changed as `rules` ask for. */
export function fitTurns(given: readonly TemplateMessage[], rules: TurnRules): TemplateMessage[] {
  const messages = rules.takesManyCalls ? given : splitCalls(given)
  const firstTurn = messages.findIndex(({ role }) => role !== "system")
  const numLeading = firstTurn < 0 ? messages.length : firstTurn
  const leading = messages.slice(0, numLeading)
  const rest = messages.slice(numLeading)
  if (!rules.takesSystem) return joinTurns(withSystemInTurns(messages), rules)
  const turns = rules.takesLateSystem ? rest : withSystemInTurns(rest)
  return [...(rules.takesSystems ? leading : joinAll(leading)), ...joinTurns(turns, rules)]
}

/** What the system says is said by the user: with the next message where that is the user's, else with the last one. */
function withSystemInTurns(messages: readonly TemplateMessage[]): TemplateMessage[] {
  const turns: TemplateMessage[] = []
  /** The system's, for the user's next message. */
  let waiting: TemplateMessage[] = []
  const flush = (): void => {
    const [said] = joinAll(waiting)
    const last = turns.at(-1)
    waiting = []
    if (said === undefined) return
    if (last?.role === "user") turns.splice(-1, 1, ...joinAll([last, said]))
    else turns.push({ ...said, role: "user" })
  }
  for (const message of messages) {
    if (message.role === "system") waiting.push(message)
    else if (message.role === "user") {
      const [said] = joinAll(waiting)
      turns.push(said === undefined ? message : withText(message, joinedTexts([textOf(said), textOf(message)])))
      waiting = []
    } else {
      flush()
      turns.push(message)
    }
  }
  flush()
  return turns
}

function joinTurns(messages: readonly TemplateMessage[], rules: TurnRules): TemplateMessage[] {
  const turns: TemplateMessage[][] = []
  for (const message of messages) {
    const { role } = message
    const joins = (role === "user" && !rules.takesUsers) || (role === "assistant" && !rules.takesAssistants)
    const last = turns.at(-1)
    if (joins && last?.[0]?.role === role) last.push(message)
    else turns.push([message])
  }
  return turns.flatMap(joinAll)
}

/** One message of all, in the form and with the role of the first; none of none. */
function joinAll(messages: readonly TemplateMessage[]): TemplateMessage[] {
  const [first] = messages
  if (first === undefined || messages.length === 1) return [...messages]
  const calls = messages.flatMap(({ tool_calls }) => tool_calls ?? [])
  const fields = Object.assign({}, ...messages.toReversed()) as TemplateMessage
  const text = joinedTexts(messages.map(textOf))
  return [{ ...fields, ...withText(first, text), ...(calls.length > 0 ? { tool_calls: calls } : {}) }]
}
