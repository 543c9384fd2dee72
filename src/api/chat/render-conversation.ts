/**
 * Renders a conversation as a template takes it. What it has no place for is written in another way, and is never left
 * out:
 *
 *   developers' messages    the system's, where the template does not name that role
 *   tools and calls         text, where the model's template shows none
 *   turns                   joined or moved, where the template refuses them as they are
 *   system messages         likewise, where the model's template leaves their text out
 *
 * A template that a request brings along is its author's business: there only what it refuses is changed.
 */
import { RequestError } from "../../base/errors.ts"
import type { ToolParserName } from "../../text/answer/tool-formats.ts"
import { RenderLimitError } from "../../text/chat-template.ts"
import type { ChatTemplate, ChatTemplateInput } from "../../text/chat-template.ts"
import { TemplateProbe } from "../../text/template-probe.ts"
import { cutAtMark, withMark } from "./continued-message.ts"
import { withoutDevelopers } from "./developer-messages.ts"
import { withGenericTools } from "./generic-tools.ts"
import { textOf, textsOf } from "./messages.ts"
import type { TemplateMessage } from "./messages.ts"
import type { Tools } from "../schema/messages.ts"
import { ANY_TURNS, fitTurns, STRICT_TURNS } from "./turns.ts"

export type ConversationInput = Omit<ChatTemplateInput, "messages" | "tools"> & { readonly tools: Tools | null }

export interface ConversationOptions {
  /** The model's own template, or the operator's; else it came with the request. */
  readonly isModels: boolean
  /** The prompt ends within the last message. */
  readonly isContinued: boolean
  /** False: a template that has no place for the tools may leave them out. */
  readonly mayCallTools: boolean
  readonly toolParser: ToolParserName | null
}

/** The prompt's text. Errors: `RequestError` where the template cannot be rendered in any form, with its own words. */
export function renderConversation(
  template: ChatTemplate, messages: readonly TemplateMessage[], input: ConversationInput, options: ConversationOptions,
): string {
  const { isContinued } = options
  const text = rendered(template, isContinued ? withMark(messages) : messages, input, options)
  return isContinued ? cutAtMark(text, textOf(messages.at(-1)!)) : text
}

function rendered(
  template: ChatTemplate, given: readonly TemplateMessage[], input: ConversationInput, options: ConversationOptions,
): string {
  const { tools, ...rest } = input
  const shown = tools?.map((tool) => ({ type: "function", ...tool })) ?? null
  const render = (messages: readonly TemplateMessage[]) => template.render({ ...rest, tools: shown, messages })
  const known = withoutDevelopers(template, given)
  if (!options.isModels) return renderTurns(known, render, () => new TemplateProbe(template, rest), () => true)
  const probe = probeOf(template, rest)
  const { contentFormat } = template
  const needed = options.mayCallTools ? tools : null
  const whole = withGenericTools(known, { probe, tools: needed, parser: options.toolParser, contentFormat })
  return renderTurns(whole, render, () => probe, (text) => hasSystemTexts(text, whole))
}

/** What the model's template takes, which no request changes, is found out once. */
const probes = new WeakMap<ChatTemplate, TemplateProbe>()

function probeOf(template: ChatTemplate, input: Omit<ChatTemplateInput, "messages">): TemplateProbe {
  const known = probes.get(template)
  if (known !== undefined) return known
  const probe = new TemplateProbe(template, { specialTokens: input.specialTokens ?? {} })
  probes.set(template, probe)
  return probe
}

/** `messages` as they are where the template takes them, else in the turns that it has. */
function renderTurns(
  messages: readonly TemplateMessage[],
  render: (messages: readonly TemplateMessage[]) => string,
  probe: () => TemplateProbe,
  isWhole: (text: string) => boolean,
): string {
  const asGiven = attempt(render, messages)
  if (typeof asGiven === "string" && isWhole(asGiven)) return asGiven
  const { takesSystem, takesSystems, takesLateSystem } = probe()
  const system = { takesSystem, takesSystems, takesLateSystem }
  // What is refused may break a rule that small conversations do not show: last of all every rule is followed.
  const rules = typeof asGiven === "string" ? [{ ...ANY_TURNS, ...system }] : [probe(), { ...STRICT_TURNS, takesSystem }]
  for (const each of rules) {
    const turns = fitTurns(messages, each)
    const isSame = turns.length === messages.length && turns.every((turn, i) => turn === messages[i])
    const text = isSame ? null : attempt(render, turns)
    if (typeof text === "string") return text
  }
  if (typeof asGiven === "string") return asGiven
  throw asGiven
}

function attempt(
  render: (messages: readonly TemplateMessage[]) => string, messages: readonly TemplateMessage[],
): string | RequestError {
  try {
    return render(messages)
  } catch (error) {
    // What went past a limit in one form would do so in the others.
    if (error instanceof RequestError && !(error instanceof RenderLimitError)) return error
    throw error
  }
}

function hasSystemTexts(text: string, messages: readonly TemplateMessage[]): boolean {
  const systems = messages.filter(({ role }) => role === "system")
  let at = 0
  // Each is looked for behind the one before: the search is linear in the prompt, however many there are.
  return systems.flatMap(textsOf).every((each) => {
    const wanted = each.trim()
    const found = text.indexOf(wanted, at)
    at = found + wanted.length
    return found >= 0
  })
}
