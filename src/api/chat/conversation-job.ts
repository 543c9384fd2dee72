/** A chat request's messages into the text of its prompt: work that may be done on another thread. */
import { ConfigError, RequestError } from "../../base/errors.ts"
import type { JsonLimits } from "../../base/json-scan.ts"
import { ChatTemplate } from "../../text/chat-template.ts"
import { messageStarts } from "../cache-miss/message-starts.ts"
import type { MessageStart } from "../cache-miss/message-starts.ts"
import { templateMessages } from "./messages.ts"
import type { IgnoredArguments, TemplateMessage } from "./messages.ts"
import { renderConversation } from "./render-conversation.ts"
import type { ConversationInput, ConversationOptions } from "./render-conversation.ts"
import type { ChatMessage } from "../schema/messages.ts"

export interface ChosenTemplate {
  readonly source: string
  /** The model's own template, or the operator's; else it came with the request. */
  readonly isModels: boolean
}

/** Plain data, but for numbers as they are written (see json-number.ts): it goes from thread to thread as JSON. */
export interface ConversationJob {
  readonly template: ChosenTemplate
  readonly messages: readonly ChatMessage[]
  readonly input: Omit<ConversationInput, "now">
  readonly options: Omit<ConversationOptions, "isModels">
  /** For the message about pictures and sounds. */
  readonly modelName: string
  /** What the arguments of earlier calls may hold that are given as text. */
  readonly argumentLimits: JsonLimits
  /** Whether to tell where each message begins, which takes a second render. */
  readonly tellsStarts: boolean
}

/** Plain data. */
export interface RenderedConversation {
  readonly text: string
  readonly ignoredArguments: readonly IgnoredArguments[]
  /** Null where that cannot be told, or was not asked for. */
  readonly messageStarts: readonly MessageStart[] | null
}

export class ConversationRenderer {
  /** Those of the model, by their source. */
  readonly #templates: Map<string, ChatTemplate>

  constructor(known: readonly ChatTemplate[] = []) {
    this.#templates = new Map(known.map((template) => [template.source, template]))
  }

  /** Errors: `RequestError` for messages, variables or a template that cannot be rendered. */
  render(job: ConversationJob): RenderedConversation {
    const { input, modelName, argumentLimits } = job
    const template = this.#parsed(job.template)
    const options = { ...job.options, isModels: job.template.isModels }
    const { messages, ignoredArguments } = templateMessages(job.messages, {
      format: template.contentFormat, modelName, argumentLimits,
    })
    const render = (turns: readonly TemplateMessage[]) => renderConversation(template, turns, input, options)
    const text = render(messages)
    return { text, ignoredArguments, messageStarts: job.tellsStarts ? messageStarts(messages, text, render) : null }
  }

  #parsed({ source, isModels }: ChosenTemplate): ChatTemplate {
    if (!isModels) return parseRequestTemplate(source)
    const known = this.#templates.get(source) ?? ChatTemplate.parse(source)
    this.#templates.set(source, known)
    return known
  }
}

function parseRequestTemplate(source: string): ChatTemplate {
  try {
    return ChatTemplate.parse(source)
  } catch (error) {
    if (error instanceof ConfigError) throw new RequestError(error.message, { param: "chat_template" })
    throw error
  }
}
