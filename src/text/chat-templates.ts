/** The chat templates of a model, by name, and which of them a chat takes. Names and choice are transformers'. */
import { ConfigError } from "../base/errors.ts"
import { ChatTemplate } from "./chat-template.ts"

export const DEFAULT_TEMPLATE = "default"
const FOR_TOOLS = "tool_use"
const FOR_DOCUMENTS = "rag"

export class ChatTemplates {
  readonly #named: ReadonlyMap<string, ChatTemplate>

  constructor(named: ReadonlyMap<string, ChatTemplate> = new Map()) {
    this.#named = named
  }

  /** Errors: `ConfigError` naming the one of several that is not a template. */
  static parse(sources: ReadonlyMap<string, string>): ChatTemplates {
    const parse = (name: string, source: string) => [name, parseNamed(name, source, sources.size)] as const
    return new ChatTemplates(new Map([...sources].map(([name, source]) => parse(name, source))))
  }

  /** One template for every chat. */
  static of(template: ChatTemplate | null): ChatTemplates {
    return new ChatTemplates(template === null ? new Map() : new Map([[DEFAULT_TEMPLATE, template]]))
  }

  get names(): readonly string[] {
    return [...this.#named.keys()]
  }

  get all(): readonly ChatTemplate[] {
    return [...this.#named.values()]
  }

  get(name: string): ChatTemplate | null {
    return this.#named.get(name) ?? null
  }

  /** The template for a chat that brings tools or documents; null when the model has none for it. */
  choose(chat: { readonly hasTools: boolean; readonly hasDocuments: boolean }): ChatTemplate | null {
    const special = (chat.hasTools ? this.get(FOR_TOOLS) : null) ?? (chat.hasDocuments ? this.get(FOR_DOCUMENTS) : null)
    return special ?? this.get(DEFAULT_TEMPLATE)
  }
}

function parseNamed(name: string, source: string, numSources: number): ChatTemplate {
  try {
    return ChatTemplate.parse(source)
  } catch (error) {
    if (numSources === 1 || !(error instanceof ConfigError)) throw error
    throw new ConfigError(`${error.message} (the one named "${name}"). HINT: --chat-template takes the name of another`)
  }
}
