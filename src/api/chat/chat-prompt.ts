/** Turns messages into a prompt: the template's variables, and what of them may come from the request. */
import { RequestError } from "../../base/errors.ts"
import type { Log } from "../../base/log.ts"
import { chooseTemplate } from "./choose-template.ts"
import type { ApiContext } from "../context.ts"
import type { RenderedConversation } from "./conversation-job.ts"
import type { IgnoredArguments } from "./messages.ts"
import { servedName } from "../plan/model-name.ts"
import { encodeText } from "../plan/prompt.ts"
import type { Prompt, Truncation } from "../plan/prompt.ts"
import type { TemplateFields } from "../schema/messages.ts"

/** What a request's other fields put before the template. */
export interface TemplateExtras {
  readonly tools: TemplateFields["tools"]
  /** False: a template that has no place for the tools may leave them out. */
  readonly mayCallTools: boolean
  readonly reasoningEffort: string | null
  /** Whether the prompt is to tell where each message begins. */
  readonly tellsStarts: boolean
}

/** Errors: those of `chatText`, and of `encodeText`. */
export async function chatPrompt(
  context: ApiContext, fields: TemplateFields, extras: TemplateExtras, truncation: Truncation,
): Promise<Prompt> {
  const tellsStarts = extras.tellsStarts && truncation.limit === null
  const { text, messageStarts } = await chatText(context, fields, { ...extras, tellsStarts })
  return { ...await encodeText(context, text, fields.add_special_tokens ?? false, truncation), messageStarts }
}

/** Errors: `RequestError` for messages, variables or a template that cannot be rendered. */
export async function chatText(
  context: ApiContext, fields: TemplateFields, extras: TemplateExtras,
): Promise<RenderedConversation> {
  checkTemplateFields(fields)
  const template = chooseTemplate(context, fields, extras.tools)
  if (fields.messages.length === 0) throw new RequestError("messages must not be empty.", { param: "messages" })
  const rendered = await context.work.render({
    template,
    messages: fields.messages,
    input: {
      tools: extras.tools ?? null,
      documents: fields.documents ?? null,
      addGenerationPrompt: fields.add_generation_prompt ?? true,
      specialTokens: context.client.tokenizer.specialTokens,
      kwargs: templateVariables(context, fields, extras.reasoningEffort),
    },
    options: {
      isContinued: fields.continue_final_message === true,
      mayCallTools: extras.mayCallTools,
      toolParser: context.options.toolParser,
    },
    modelName: servedName(context.client.model),
    argumentLimits: context.options.bodyLimits,
    tellsStarts: extras.tellsStarts,
  })
  noteIgnoredArguments(context.options.log, rendered.ignoredArguments)
  return rendered
}

/** One line for a request: conversations are sent again and again, and may have many such calls. */
function noteIgnoredArguments(log: Log, [first, ...more]: readonly IgnoredArguments[]): void {
  if (first === undefined) return
  const others = more.length === 0 ? {} : { others: more.length }
  log.warning("took the arguments of an earlier call as empty", { ...first, ...others })
}

function checkTemplateFields(fields: TemplateFields): void {
  const { continue_final_message: continues, add_generation_prompt: adds } = fields
  if (continues === true && adds === true) {
    throw new RequestError("Cannot set both `continue_final_message` and `add_generation_prompt` to True.")
  }
  if (continues === true && adds !== false) {
    throw new RequestError("continue_final_message needs add_generation_prompt to be false.")
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
