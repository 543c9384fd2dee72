/** What makes tokens of texts: a model's tokenizer and chat templates, or those that flags put in their place. */
import { readFileSync } from "node:fs"
import { present } from "../base/assert.ts"
import { ConfigError } from "../base/errors.ts"
import type { ModelSource } from "../model/load/checkpoint.ts"
import { ChatTemplate } from "../text/chat-template.ts"
import { ChatTemplates } from "../text/chat-templates.ts"
import { findChatTemplates, findGgufChatTemplates, type TemplateSources } from "../text/find-chat-template.ts"
import type { Tokenizer } from "../text/tokenizer.ts"
import { loadTokenizer, tokenizerDirectory } from "./tokenizer-of.ts"

export interface TextOptions {
  /** A directory with another tokenizer, or null for the model's own. */
  readonly tokenizerPath: string | null
  /** The name of one of the model's templates, a file, or the text of a template; null: the model's own. */
  readonly chatTemplate: string | null
}

export interface ModelText {
  readonly tokenizer: Tokenizer
  readonly chatTemplates: ChatTemplates
}

/** `warn` receives lines about what makes the tokenizer worse than it could be. Errors: `ConfigError`. */
export async function loadText(
  options: TextOptions, source: ModelSource, warn: (line: string) => void,
): Promise<ModelText> {
  const tokenizer = await loadTokenizer(options.tokenizerPath, source, warn)
  const directory = tokenizerDirectory(options.tokenizerPath, source)
  const sources = directory !== null
    ? findChatTemplates(directory)
    : findGgufChatTemplates(present(source.ggufMetadata, "metadata of a GGUF file"))
  return { tokenizer, chatTemplates: chooseTemplates(options.chatTemplate, sources) }
}

/** `asked` is --chat-template: it is then the template of every chat, whatever the chat brings. */
function chooseTemplates(asked: string | null, sources: TemplateSources): ChatTemplates {
  if (asked === null) return ChatTemplates.parse(sources)
  return ChatTemplates.of(ChatTemplate.parse(sources.get(asked) ?? readTemplate(asked, [...sources.keys()])))
}

/** Text with Jinja's braces or a line break is a template; anything else names a file. */
function readTemplate(pathOrText: string, names: readonly string[]): string {
  if (/\{[{%#]|\n/.test(pathOrText)) return pathOrText
  try {
    return readFileSync(pathOrText, "utf8")
  } catch (error) {
    const known = names.length === 0 ? "no template" : `templates named ${names.join(", ")}`
    throw new ConfigError(`--chat-template ${pathOrText}: ${(error as Error).message}; the model has ${known}`)
  }
}
