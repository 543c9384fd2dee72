/**
 * Which formats a model writes its tool calls and its reasoning in, found from its chat template: the template shows
 * the model its own earlier calls, so that the format whose reader finds a call in such a rendering is the model's.
 */
import type { ChatMessage, ChatTemplate } from "../chat-template.ts"
import { callIds, contentFor, makeTool, renderedOrNull } from "../template-probe.ts"
import type { ReasoningParserName } from "./reasoning-formats.ts"
import type { ToolFormat } from "./tool-format.ts"
import { TOOL_FORMATS, type ToolParserName } from "./tool-formats.ts"

/** No template writes these words of its own. */
const [NAME, KEY, VALUE, ASKED, RESULT] =
  ["probe_function", "probe_key", "probe_value", "probe_question", "probe_result"] as const
const TOOL = makeTool(NAME, KEY)
const SCHEMAS = new Map([[NAME, TOOL.function.parameters]])

/** What the template is rendered with beside messages and tools. */
export interface DetectionInput {
  readonly specialTokens: Readonly<Record<string, string>>
  /** Of the server: variables for every conversation. */
  readonly kwargs: Readonly<Record<string, unknown>>
}

/** Written and read where the template has no place for calls: what the model is shown then is the server's. */
const DEFAULT_FORMAT: ToolParserName = "hermes"

/** The format of the calls that the template shows; null for one that no reader knows. */
export function detectToolFormat(template: ChatTemplate, input: DetectionInput): ToolParserName | null {
  const formats = Object.entries(TOOL_FORMATS) as [ToolParserName, ToolFormat][]
  let isShown = false
  for (const id of callIds(NAME, 0)) {
    const shown = renderedCall(template, input, id)
    if (shown === null || !shown.includes(NAME)) continue
    isShown = true
    // A marker is surer than a bracket, which may be that of JSON within a marker's call.
    const byMarker = formats.find(([, format]) => format.openers.some((opener) => reads(format, opener, shown)))
    const bare = shown.slice(numCommon(shown, answerStart(template, input))).trimStart()
    const found = byMarker ?? formats.find(([, format]) =>
      format.bareOpener !== "" && bare.startsWith(format.bareOpener) && readsFrom(format, "", bare))
    if (found !== undefined) return found[0]
  }
  return isShown || /\btool_calls\b/.test(template.source) ? null : DEFAULT_FORMAT
}

/** The template's text from the question on up to the call's result. */
function renderedCall(template: ChatTemplate, input: DetectionInput, id: string): string | null {
  const call = { id, type: "function", function: { name: NAME, arguments: { [KEY]: VALUE } } }
  const text = rendered(template, input, [
    textMessage(template, "user", ASKED),
    { role: "assistant", content: template.contentFormat === "string" ? "" : [], tool_calls: [call] },
    { role: "tool", name: NAME, tool_call_id: id, content: RESULT },
  ])
  if (text === null) return null
  const from = text.lastIndexOf(ASKED)
  const to = text.lastIndexOf(RESULT)
  return text.slice(from < 0 ? 0 : from + ASKED.length, to < 0 ? text.length : to)
}

function reads(format: ToolFormat, opener: string, text: string): boolean {
  const at = text.indexOf(opener)
  return at >= 0 && readsFrom(format, opener, text.slice(at + opener.length))
}

/** What stands between a question and the model's answer to it. */
function answerStart(template: ChatTemplate, input: DetectionInput): string {
  const text = rendered(template, input, [textMessage(template, "user", ASKED)]) ?? ""
  return text.slice(text.lastIndexOf(ASKED) + ASKED.length)
}

function numCommon(one: string, other: string): number {
  let count = 0
  while (count < one.length && one[count] === other[count]) count += 1
  return count
}

/** Whether the format's reader finds the call, whole, in a text that begins behind `opener`. */
function readsFrom(format: ToolFormat, opener: string, text: string): boolean {
  let name: string | null = null
  let json = ""
  const sink = {
    call: (called: string) => {
      name ??= called
    },
    arguments: (piece: string) => {
      json += piece
    },
  }
  const reader = format.makeReader({ opener, sink, tools: SCHEMAS })
  reader.push(text)
  if (reader.state === "open") reader.end()
  return name === NAME && isTheArguments(json)
}

function isTheArguments(json: string): boolean {
  try {
    return (JSON.parse(json) as Record<string, unknown> | null)?.[KEY] === VALUE
  } catch {
    return false
  }
}

/**
 * The format of the reasoning that the template asks for; null where it asks for none. A template that only removes
 * earlier reasoning says nothing of what its model will do: a model that does not reason would have its answers taken
 * for reasoning.
 */
export function detectReasoningFormat(template: ChatTemplate, input: DetectionInput): ReasoningParserName | null {
  const { source } = template
  if (source.includes("[THINK]")) return "mistral"
  if (/Here(?: is|'s) my thought process:/.test(source)) return "granite"
  if (!source.includes("<think>")) return null
  if (/\benable_thinking\b/.test(source)) return thinksByDefault(template, input) ? "qwen3" : "deepseek_v3"
  if (/\bthinking\b\s+is\s+(?:not\s+)?defined|\bif\s+thinking\b/.test(source)) return "deepseek_v3"
  const prompt = rendered(template, input, [textMessage(template, "user", ASKED)])
  return prompt !== null && prompt.trimEnd().endsWith("<think>") ? "deepseek_r1" : null
}

/** Where thinking has to be asked for, saying nothing is as good as saying no. */
function thinksByDefault(template: ChatTemplate, input: DetectionInput): boolean {
  const prompt = (kwargs: Readonly<Record<string, unknown>>) =>
    rendered(template, { ...input, kwargs: { ...input.kwargs, ...kwargs } }, [textMessage(template, "user", ASKED)])
  const without = prompt({ enable_thinking: false })
  return prompt({}) !== without || prompt({ enable_thinking: true }) === without
}

function textMessage(template: ChatTemplate, role: string, text: string): ChatMessage {
  return { role, content: contentFor(template, text) }
}

function rendered(template: ChatTemplate, input: DetectionInput, messages: readonly ChatMessage[]): string | null {
  return renderedOrNull(template, { ...input, messages, tools: [TOOL], addGenerationPrompt: true })
}
