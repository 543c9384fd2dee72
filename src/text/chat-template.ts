/**
 * Chat templates: Jinja that turns messages into the prompt text a model was trained on. Same variables and functions
 * as transformers' `apply_chat_template`.
 */
import { ConfigError, RequestError } from "../base/errors.ts"
import { detectContentFormat, type ContentFormat } from "./content-format.ts"
import { TemplateError, TemplateFault, TemplateLimit } from "./jinja/errors.ts"
import { Template } from "./jinja/template.ts"
import { toolArguments } from "./tool-arguments.ts"

/** An OpenAI chat message, its content already in the template's format. */
export type ChatMessage = Readonly<Record<string, unknown>>

export interface ChatTemplateInput {
  messages: readonly ChatMessage[]
  tools?: readonly unknown[] | null
  documents?: readonly unknown[] | null
  addGenerationPrompt?: boolean
  /** `bos_token`, `eos_token` ...: a tokenizer's `specialTokens`. */
  specialTokens?: Readonly<Record<string, string>>
  /** Further variables (`enable_thinking`, `reasoning_effort`); the ones above win. */
  kwargs?: Readonly<Record<string, unknown>>
  /** For `strftime_now`. */
  now?: Date
}

/** The template went past a limit on its time, its memory or its depth. */
export class RenderLimitError extends RequestError {}

/** The longest known template has 30,000 characters. */
const MAX_SOURCE = 1024 * 1024

export class ChatTemplate {
  /** How the template takes message content; see `detectContentFormat`. */
  readonly contentFormat: ContentFormat
  readonly source: string
  readonly #template: Template

  private constructor(source: string, template: Template) {
    this.source = source
    this.#template = template
    this.contentFormat = detectContentFormat(template.statements)
  }

  /** Throws `ConfigError` when `source` is not a template. */
  static parse(source: string): ChatTemplate {
    if (source.length > MAX_SOURCE)
      throw new ConfigError(`chat template has ${source.length} characters; the limit is ${MAX_SOURCE}`)
    try {
      return new ChatTemplate(source, new Template(source))
    } catch (error) {
      throw new ConfigError(`chat template cannot be parsed: ${(error as Error).message}`)
    }
  }

  /**
   * The prompt text. Throws `RequestError` (400) with the template's own words when it calls `raise_exception`, and
   * when it fails or goes past its limits.
   */
  render(input: ChatTemplateInput): string {
    const variables = {
      ...input.specialTokens,
      ...input.kwargs,
      messages: parseToolArguments(input.messages),
      tools: input.tools ?? null,
      documents: input.documents ?? null,
      add_generation_prompt: input.addGenerationPrompt ?? false,
    }
    try {
      return this.#template.render(variables, input.now ?? new Date())
    } catch (error) {
      if (error instanceof TemplateLimit) throw new RenderLimitError(error.message)
      if (error instanceof TemplateFault) throw new RequestError(`chat template: ${error.kind}: ${error.message}`)
      if (error instanceof TemplateError) throw new RequestError(error.message)
      throw error
    }
  }
}

/** Templates expect the arguments of earlier tool calls as objects; OpenAI clients send them as JSON text. */
function parseToolArguments(messages: readonly ChatMessage[]): ChatMessage[] {
  return messages.map((message) => {
    const calls = message["tool_calls"]
    return Array.isArray(calls) ? { ...message, tool_calls: calls.map(parseCall) } : message
  })
}

function parseCall(call: unknown): unknown {
  const fields = call as { function?: { arguments?: unknown } } | null
  if (typeof fields !== "object" || fields === null || typeof fields.function !== "object") return call
  return { ...fields, function: { ...fields.function, arguments: toolArguments(fields.function?.arguments).value } }
}
