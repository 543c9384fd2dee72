/**
 * What a chat template has a place for, found by rendering small conversations: what it shows of them it takes; what it
 * leaves out, or refuses, it does not.
 */
import { RequestError } from "../base/errors.ts"
import type { ChatMessage, ChatTemplate, ChatTemplateInput } from "./chat-template.ts"

/** Everything of a request that is not its conversation. */
export type ProbeInput = Pick<ChatTemplateInput, "specialTokens" | "kwargs" | "addGenerationPrompt">

type Message = readonly [role: string, text: string]

/** No template writes these words of its own. */
const WORDS = ["probe-one", "probe-two", "probe-three", "probe-four", "probe-five"] as const
const [ONE, TWO, THREE, FOUR, FIVE] = WORDS

/** Ids of a call of `name`: templates may want nine letters and digits, or look for the function's name. */
export function callIds(name: string, index: number): readonly string[] {
  return [`probe000${index}`, `functions.${name}:${index}`]
}

/** A tool with one argument, which is a text. */
export function makeTool(name: string, key: string) {
  const parameters = { type: "object", properties: { [key]: { type: "string", description: key } }, required: [key] }
  return { type: "function", function: { name, description: name, parameters } }
}

/** A text in the form in which the template takes contents. */
export function contentFor({ contentFormat }: ChatTemplate, text: string): string | object[] {
  return contentFormat === "string" ? text : [{ type: "text", text }]
}

/** Null where the template refuses the conversation. Renders are compared, so that time has to stand still. */
export function renderedOrNull(template: ChatTemplate, input: Omit<ChatTemplateInput, "now">): string | null {
  try {
    return template.render({ ...input, now: new Date(0) })
  } catch (error) {
    if (error instanceof RequestError) return null
    throw error
  }
}

const TOOL = makeTool(ONE, ONE)
const NUM_ID_FORMS = callIds(TWO, 0).length

export class TemplateProbe {
  readonly #template: ChatTemplate
  readonly #input: ProbeInput
  readonly #known = new Map<string, boolean>()

  constructor(template: ChatTemplate, input: ProbeInput) {
    this.#template = template
    this.#input = input
  }

  /** A system message in front. */
  get takesSystem(): boolean {
    return this.#takes("system", ["system", ONE], ["user", TWO])
  }

  /** Several system messages in front. */
  get takesSystems(): boolean {
    return this.#takes("systems", ["system", ONE], ["system", TWO], ["user", THREE])
  }

  /** System messages behind the first turn. */
  get takesLateSystem(): boolean {
    const front: readonly Message[] = this.takesSystem ? [["system", FIVE]] : []
    return this.#takes("late", ...front, ["user", ONE], ["assistant", TWO], ["system", THREE], ["user", FOUR])
  }

  /** Messages of a user behind each other. */
  get takesUsers(): boolean {
    return this.#takes("users", ["user", ONE], ["user", TWO])
  }

  get takesAssistants(): boolean {
    return this.#takes("assistants", ["user", ONE], ["assistant", TWO], ["assistant", THREE], ["user", FOUR])
  }

  /** Definitions of tools, in a conversation with a system message or without. */
  takesTools({ hasSystem }: { hasSystem: boolean }): boolean {
    return this.#once(`tools ${hasSystem}`, () => {
      const messages = [...(hasSystem ? [this.#message("system", TWO)] : []), this.#message("user", THREE)]
      const text = this.#rendered(messages, [TOOL])
      // One that refuses this conversation may take others.
      return text === null ? this.#speaksOf("tools") : text !== this.#rendered(messages)
    })
  }

  /** Earlier calls of tools. */
  get takesCalls(): boolean {
    return this.#once("calls", () => this.#withCalls(1)?.includes(TWO) ?? this.#speaksOf("tool_calls"))
  }

  /** Results of tools, as messages of their own role. */
  get takesResults(): boolean {
    return this.#once("results", () => this.#withCalls(1)?.includes(THREE) ?? this.#speaksOf("tool"))
  }

  /** Several calls in one message. */
  get takesManyCalls(): boolean {
    return this.#once("many calls", () => this.#withCalls(2) !== null)
  }

  #withCalls(count: number): string | null {
    for (let form = 0; form < NUM_ID_FORMS; form++) {
      const ids = Array.from({ length: count }, (_, i) => callIds(TWO, i)[form]!)
      const make = (id: string) => ({ id, type: "function", function: { name: TWO, arguments: { [TWO]: TWO } } })
      const text = this.#renderedAnyhow([
        this.#message("user", ONE),
        { role: "assistant", content: this.#content(""), tool_calls: ids.map(make) },
        ...ids.map((id) => ({ role: "tool", name: TWO, tool_call_id: id, content: THREE })),
        this.#message("assistant", FOUR),
        this.#message("user", FIVE),
      ])
      if (text !== null) return text
    }
    return null
  }

  #speaksOf(word: string): boolean {
    return new RegExp(`\\b${word}\\b`).test(this.#template.source)
  }

  /** Whether each message's text is shown. */
  #takes(name: string, ...messages: readonly Message[]): boolean {
    return this.#once(name, () => {
      const text = this.#renderedAnyhow(messages.map(([role, content]) => this.#message(role, content)))
      return text !== null && messages.every(([, content]) => text.toLowerCase().includes(content))
    })
  }

  #once(name: string, probe: () => boolean): boolean {
    const known = this.#known.get(name)
    if (known !== undefined) return known
    const found = probe()
    this.#known.set(name, found)
    return found
  }

  #message(role: string, text: string): ChatMessage {
    return { role, content: this.#content(text) }
  }

  #content(text: string): string | object[] {
    return contentFor(this.#template, text)
  }

  /** Some templates want tools in every conversation. */
  #renderedAnyhow(messages: readonly ChatMessage[]): string | null {
    return this.#rendered(messages) ?? this.#rendered(messages, [TOOL])
  }

  #rendered(messages: readonly ChatMessage[], tools: readonly unknown[] | null = null): string | null {
    return renderedOrNull(this.#template, { ...this.#input, messages, tools })
  }
}
