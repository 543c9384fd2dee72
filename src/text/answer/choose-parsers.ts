/** Which parsers a server has: those that the operator named, else those that the model's chat template asks for. */
import type { ChatTemplates } from "../chat-templates.ts"
import type { Tokenizer } from "../tokenizer.ts"
import { detectReasoningFormat, detectToolFormat } from "./detect-formats.ts"
import type { ReasoningParserName } from "./reasoning-formats.ts"
import type { ToolParserName } from "./tool-formats.ts"

export type Chosen<Name> = Name | "auto" | "none"

export interface ParserChoice {
  readonly reasoningParser: Chosen<ReasoningParserName>
  readonly toolCallParser: Chosen<ToolParserName>
  readonly defaultChatTemplateKwargs: Readonly<Record<string, unknown>>
}

/** Null: reasoning, or calls, stay in the text. */
export interface ChosenParsers {
  readonly reasoningParser: ReasoningParserName | null
  readonly toolParser: ToolParserName | null
}

export function chooseParsers(
  { reasoningParser, toolCallParser, defaultChatTemplateKwargs }: ParserChoice,
  { chatTemplates, tokenizer }: { readonly chatTemplates: ChatTemplates; readonly tokenizer: Tokenizer },
): ChosenParsers {
  const input = { specialTokens: tokenizer.specialTokens, kwargs: defaultChatTemplateKwargs }
  const plain = () => chatTemplates.choose({ hasTools: false, hasDocuments: false })
  const withTools = () => chatTemplates.choose({ hasTools: true, hasDocuments: false })
  return {
    reasoningParser: named(reasoningParser, plain, (template) => detectReasoningFormat(template, input)),
    toolParser: named(toolCallParser, withTools, (template) => detectToolFormat(template, input)),
  }
}

function named<Name extends string, Template>(
  choice: Chosen<Name>, find: () => Template | null, detect: (template: Template) => Name | null,
): Name | null {
  if (choice === "none") return null
  if (choice !== "auto") return choice
  const template = find()
  return template === null ? null : detect(template)
}
