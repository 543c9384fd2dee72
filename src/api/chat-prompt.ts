/** Turns messages into a prompt: which template, with which variables, and what of it may come from the request. */
import { ConfigError, RequestError } from "../base/errors.ts"
import { ChatTemplate } from "../text/chat-template.ts"
import type { ChatTemplateInput } from "../text/chat-template.ts"
import type { ApiContext } from "./context.ts"
import { lastText, templateMessages, textOf } from "./messages.ts"
import type { TemplateMessage } from "./messages.ts"
import { servedName } from "./model-name.ts"
import { encodeText } from "./prompt.ts"
import type { Prompt, Truncation } from "./prompt.ts"
import type { TemplateFields } from "./schema/messages.ts"

/** What a request's other fields put before the template. */
export interface TemplateExtras {
  readonly tools: TemplateFields["tools"]
  readonly reasoningEffort: string | null
}

/** Errors: `RequestError` for messages, variables or a template that cannot be rendered. */
export async function chatPrompt(
  context: ApiContext, fields: TemplateFields, extras: TemplateExtras, truncation: Truncation,
): Promise<Prompt> {
  checkTemplateFields(context, fields)
  const template = templateFor(context, fields)
  const messages = templateMessages(fields.messages, {
    format: template.contentFormat,
    modelName: servedName(context.client.model),
  })
  if (messages.length === 0) throw new RequestError("messages must not be empty.", { param: "messages" })
  const rendered = renderRoles(template, messages, {
    tools: extras.tools?.map((tool) => ({ type: "function", ...tool })) ?? null,
    documents: fields.documents ?? null,
    addGenerationPrompt: fields.add_generation_prompt ?? true,
    specialTokens: context.client.tokenizer.specialTokens,
    kwargs: templateVariables(context, fields, extras.reasoningEffort),
  })
  const text = fields.continue_final_message === true ? cutAfter(rendered, fields.messages.at(-1)) : rendered
  return encodeText(context, text, fields.add_special_tokens ?? false, truncation)
}

/** What developers say is the system's for a template that refuses their role, or leaves their messages out. */
function renderRoles(
  template: ChatTemplate, messages: readonly TemplateMessage[], input: Omit<ChatTemplateInput, "messages">,
): string {
  const developers = messages.filter(({ role }) => role === "developer")
  if (developers.length === 0) return template.render({ ...input, messages })
  const known = renderedOrNull(template, { ...input, messages })
  if (known !== null && developers.every((message) => known.includes(textOf(message).trim()))) return known
  const asSystem = messages.map((message) => (message.role === "developer" ? { ...message, role: "system" } : message))
  return template.render({ ...input, messages: asSystem })
}

function renderedOrNull(template: ChatTemplate, input: ChatTemplateInput): string | null {
  try {
    return template.render(input)
  } catch (error) {
    if (error instanceof RequestError) return null
    throw error
  }
}

/** The request's own template where that is trusted, else the model's. */
function templateFor({ client }: ApiContext, fields: TemplateFields): ChatTemplate {
  const own = fields.chat_template ?? (fields.chat_template_kwargs ?? {})["chat_template"] ?? null
  if (typeof own === "string") return parseTemplate(own)
  if (own !== null) throw new RequestError("chat_template must be a string.", { param: "chat_template" })
  if (client.chatTemplate === null) {
    throw new RequestError(
      "The model has no chat template: start the server with --chat-template, or use /v1/completions.",
    )
  }
  return client.chatTemplate
}

function parseTemplate(source: string): ChatTemplate {
  try {
    return ChatTemplate.parse(source)
  } catch (error) {
    if (error instanceof ConfigError) throw new RequestError(error.message, { param: "chat_template" })
    throw error
  }
}

/** The rendered prompt up to the end of the last message's text: what the template closes it with is left out. */
function cutAfter(rendered: string, last: TemplateFields["messages"][number] | undefined): string {
  const content = last === undefined ? "" : lastText(last)
  const trimmed = content.trim()
  const start = rendered.lastIndexOf(trimmed)
  if (trimmed === "" || start < 0) {
    throw new RequestError("continue_final_message needs a last message whose text the chat template writes out.")
  }
  // Templates may or may not keep white space at the end of a message.
  const kept = content.trimStart()
  return rendered.slice(0, start) + (rendered.startsWith(kept, start) ? kept : trimmed)
}

function checkTemplateFields({ options }: ApiContext, fields: TemplateFields): void {
  const { continue_final_message: continues, add_generation_prompt: adds } = fields
  if (continues === true && adds === true) {
    throw new RequestError("Cannot set both `continue_final_message` and `add_generation_prompt` to True.")
  }
  if (continues === true && adds !== false) {
    throw new RequestError("continue_final_message needs add_generation_prompt to be false.")
  }
  const inKwargs = (fields.chat_template_kwargs ?? {})["chat_template"] ?? null
  if (((fields.chat_template ?? null) !== null || inKwargs !== null) && !options.trustRequestChatTemplate) {
    throw new RequestError(
      "Chat template is passed with request, but --trust-request-chat-template is not set. " +
        "Refused request with untrusted chat template.",
    )
  }
}

/** What the template is told beside the messages. */
export function templateVariables(
  { options }: ApiContext,
  fields: TemplateFields,
  reasoningEffort: string | null,
): Record<string, unknown> {
  const kwargs: Record<string, unknown> = { ...options.defaultChatTemplateKwargs, ...fields.chat_template_kwargs }
  delete kwargs["chat_template"] // read as the template itself
  if (reasoningEffort === null) return kwargs
  return { reasoning_effort: reasoningEffort, enable_thinking: reasoningEffort !== "none", ...kwargs }
}
