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

/** Templates may want nine letters and digits, or look for the function's name. */
const CALL_IDS = [(i: number) => `probe000${i}`, (i: number) => `functions.${TWO}:${i}`]

const TOOL = {
  type: "function",
  function: {
    name: ONE, description: ONE,
    parameters: { type: "object", properties: { [ONE]: { type: "string", description: ONE } }, required: [ONE] },
  },
}

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
    for (const makeId of CALL_IDS) {
      const ids = Array.from({ length: count }, (_, i) => makeId(i))
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
    return this.#template.contentFormat === "string" ? text : [{ type: "text", text }]
  }

  /** Some templates want tools in every conversation. */
  #renderedAnyhow(messages: readonly ChatMessage[]): string | null {
    return this.#rendered(messages) ?? this.#rendered(messages, [TOOL])
  }

  #rendered(messages: readonly ChatMessage[], tools: readonly unknown[] | null = null): string | null {
    try {
      // Renders are compared, so that time has to stand still.
      return this.#template.render({ ...this.#input, messages, tools, now: new Date(0) })
    } catch (error) {
      if (error instanceof RequestError) return null
      throw error
    }
  }
}
