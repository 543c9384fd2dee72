/**
 * Tools for a chat template that has no place for them: the system message describes them, with the form of calls that
 * the server's parser reads; earlier calls are written in that form, and results as messages of the user.
 */
import { TOOL_FORMATS, type ToolParserName } from "../../text/answer/tool-formats.ts"
import type { TemplateProbe } from "../../text/template-probe.ts"
import { joinedTexts, textOf, withText } from "./messages.ts"
import type { TemplateMessage } from "./messages.ts"
import type { Tools } from "../schema/messages.ts"

/** Of calls that no parser reads. */
const DEFAULT_FORMAT = TOOL_FORMATS.hermes

export interface GenericTools {
  readonly probe: TemplateProbe
  /** What the request offers; null for none. */
  readonly tools: Tools | null
  /** Null: calls stay in the text. */
  readonly parser: ToolParserName | null
  readonly contentFormat: "string" | "openai"
}

/** `messages` with whatever of tools the template would leave out written into them. */
export function withGenericTools(messages: readonly TemplateMessage[], setup: GenericTools): TemplateMessage[] {
  const { probe, tools, parser, contentFormat } = setup
  const hasSystem = messages[0]?.role === "system"
  const hasCalls = messages.some(({ role, tool_calls }) => role === "tool" || tool_calls !== undefined)
  const turns = hasCalls ? messages.map((message) => withWrittenCalls(message, setup)) : [...messages]
  if (tools === null || probe.takesTools({ hasSystem })) return turns
  const text = toolsText(tools, parser)
  if (hasSystem) return [withText(turns[0]!, joinedTexts([textOf(turns[0]!), text])), ...turns.slice(1)]
  const empty: TemplateMessage = { role: "system", content: contentFormat === "string" ? "" : [] }
  return [withText(empty, text), ...turns]
}

function withWrittenCalls(message: TemplateMessage, { probe, parser, contentFormat }: GenericTools): TemplateMessage {
  if (message.role === "tool" && !probe.takesResults) {
    const { tool_call_id: _id, name: _name, ...result } = message
    const text = `<tool_response>\n${textOf(message)}\n</tool_response>`
    return { ...result, role: "user", content: contentFormat === "string" ? text : [{ type: "text", text }] }
  }
  if (message.tool_calls === undefined || probe.takesCalls) return message
  const { tool_calls: calls, ...rest } = message
  const written = (parser === null ? DEFAULT_FORMAT : TOOL_FORMATS[parser]).write(calls.map((call) => call.function))
  return withText(rest, [textOf(message), written].filter((text) => text !== "").join("\n"))
}

function toolsText(tools: Tools, parser: ToolParserName | null): string {
  const described = tools.map((tool) => JSON.stringify(tool.function)).join("\n")
  const list = `You have these functions, each described as JSON:\n\n${described}`
  if (parser === null) return list
  const example = TOOL_FORMATS[parser].write([{ name: "FUNCTION", arguments: { ARGUMENT: "VALUE" } }])
  return `${list}\n\nTo call one, answer in this form, with its name and its own arguments:\n\n${example}`
}
