/** Which template a chat is rendered with: one that the request names or brings, else the model's for such a chat. */
import { RequestError } from "../../base/errors.ts"
import type { ChatTemplates } from "../../text/chat-templates.ts"
import type { ApiContext } from "../context.ts"
import type { ChosenTemplate } from "./conversation-job.ts"
import type { TemplateFields } from "../schema/messages.ts"

/**
 * A request may name one of the model's templates; it may bring one of its own where that is trusted.
 * Errors: `RequestError` when there is no such template, or none for this chat.
 */
export function chooseTemplate(
  { client, options }: ApiContext, fields: TemplateFields, tools: TemplateFields["tools"],
): ChosenTemplate {
  const asked = fields.chat_template ?? (fields.chat_template_kwargs ?? {})["chat_template"] ?? null
  if (asked === null) {
    const source = sourceOfModel(client.chatTemplates, tools ?? [], fields.documents ?? [])
    return { source, isModels: true }
  }
  const named = typeof asked === "string" ? client.chatTemplates.get(asked) : null
  if (named !== null) return { source: named.source, isModels: true }
  if (!options.trustRequestChatTemplate) {
    throw new RequestError(
      "Chat template is passed with request, but --trust-request-chat-template is not set. " +
        "Refused request with untrusted chat template.",
    )
  }
  if (typeof asked !== "string") throw new RequestError("chat_template must be a string.", { param: "chat_template" })
  return { source: asked, isModels: false }
}

function sourceOfModel(
  templates: ChatTemplates, tools: readonly unknown[], documents: readonly unknown[],
): string {
  const chosen = templates.choose({ hasTools: tools.length > 0, hasDocuments: documents.length > 0 })
  if (chosen !== null) return chosen.source
  const { names } = templates
  throw new RequestError(
    names.length === 0
      ? "The model has no chat template: start the server with --chat-template, or use /v1/completions."
      : `The model has no default chat template, only ones named ${names.join(", ")}: name one of them in ` +
        "chat_template, or start the server with --chat-template.",
  )
}
