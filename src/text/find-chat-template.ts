/** Where a model keeps its chat templates: most have one, some have several under names. */
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { DEFAULT_TEMPLATE } from "./chat-templates.ts"
import { readJsonObject } from "./load-tokenizer.ts"
import { isObject } from "./tokenizer-json.ts"

/** Sources by name. */
export type TemplateSources = ReadonlyMap<string, string>

const EXTENSION = ".jinja"
const GGUF_KEY = "tokenizer.chat_template"

/**
 * Sources of the chat templates in a model directory: chat_template.jinja, else chat_template.json, else
 * tokenizer_config.json, and those of additional_chat_templates/ beside them.
 * Errors: `ConfigError` when one of the JSON files cannot be read.
 */
export function findChatTemplates(dir: string): TemplateSources {
  const files = templateFiles(dir)
  if (files.has(DEFAULT_TEMPLATE)) return files
  const ofProcessor = templatesOf(readJsonObject(join(dir, "chat_template.json"))["chat_template"])
  if (ofProcessor.length > 0) return new Map([...ofProcessor, ...files])
  return new Map([...templatesOf(readJsonObject(join(dir, "tokenizer_config.json"))["chat_template"]), ...files])
}

/** Sources of the chat templates in GGUF metadata: `tokenizer.chat_template`, and the same with a name behind it. */
export function findGgufChatTemplates(metadata: ReadonlyMap<string, unknown>): TemplateSources {
  const named = new Map<string, string>()
  for (const key of metadata.keys()) {
    if (key !== GGUF_KEY && !key.startsWith(`${GGUF_KEY}.`)) continue
    const source = metadata.get(key)
    if (typeof source === "string") named.set(key.slice(GGUF_KEY.length + 1) || DEFAULT_TEMPLATE, source)
  }
  return named
}

function templateFiles(dir: string): Map<string, string> {
  const named = new Map<string, string>()
  const main = join(dir, "chat_template.jinja")
  if (existsSync(main)) named.set(DEFAULT_TEMPLATE, readFileSync(main, "utf8"))
  const more = join(dir, "additional_chat_templates")
  if (!existsSync(more)) return named
  for (const file of readdirSync(more)) {
    if (file.endsWith(EXTENSION)) named.set(file.slice(0, -EXTENSION.length), readFileSync(join(more, file), "utf8"))
  }
  return named
}

/** A template, a list of {name, template}, or templates by name. */
function templatesOf(value: unknown): (readonly [name: string, source: string])[] {
  if (typeof value === "string") return [[DEFAULT_TEMPLATE, value]]
  const pairs = Array.isArray(value)
    ? (value as unknown[]).filter(isObject).map(({ name, template }) => [name, template] as const)
    : isObject(value) ? Object.entries(value) : []
  return pairs.filter((pair): pair is readonly [string, string] => pair.every((part) => typeof part === "string"))
}
