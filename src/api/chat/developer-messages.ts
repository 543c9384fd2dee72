/** Messages of developers for templates that know no such role: they are the system's, all in one message in front. */
import type { ChatTemplate } from "../../text/chat-template.ts"
import { joinedTexts, textOf, withText } from "./messages.ts"
import type { TemplateMessage } from "./messages.ts"

/** As vLLM has it: a template knows the role where it names it. */
export function withoutDevelopers(template: ChatTemplate, messages: readonly TemplateMessage[]): TemplateMessage[] {
  const isKnown = template.source.includes("'developer'") || template.source.includes("\"developer\"")
  if (isKnown || !messages.some(({ role }) => role === "developer")) return [...messages]
  const renamed = messages.map((message) => (message.role === "developer" ? { ...message, role: "system" } : message))
  const systems = renamed.filter(({ role }) => role === "system")
  const turns = renamed.filter(({ role }) => role !== "system")
  const [first] = systems
  if (first === undefined || (systems.length === 1 && renamed[0] === first)) return renamed
  return [withText({ role: "system", content: first.content }, joinedTexts(systems.map(textOf))), ...turns]
}
