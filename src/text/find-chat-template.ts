/** Where a model keeps its chat template. */
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { readJsonObject } from "./load-tokenizer.ts"
import { isObject } from "./tokenizer-json.ts"

export interface ChatTemplateChoice {
  /** A request with tools takes the template named "tool_use" where there is one. */
  hasTools?: boolean
}

/**
 * Source of the chat template in a model directory, or null: chat_template.jinja (with additional_chat_templates/),
 * chat_template.json, then tokenizer_config.json, which may hold several under names.
 * Throws `ConfigError` when one of the JSON files cannot be read.
 */
export function findChatTemplate(dir: string, choice: ChatTemplateChoice = {}): string | null {
  const named = templateFiles(dir)
  if (named.size > 0) return choose(named, choice)
  const processor = readJsonObject(join(dir, "chat_template.json"))["chat_template"]
  if (typeof processor === "string") return processor
  return choose(templatesOf(readJsonObject(join(dir, "tokenizer_config.json"))["chat_template"]), choice)
}

/** Source of the chat template in GGUF metadata, or null. */
export function findGgufChatTemplate(
  metadata: ReadonlyMap<string, unknown>,
  choice: ChatTemplateChoice = {},
): string | null {
  const named = new Map<string, string>()
  const prefix = "tokenizer.chat_template"
  for (const key of metadata.keys()) {
    const value = key.startsWith(prefix) ? metadata.get(key) : null
    if (typeof value !== "string") continue
    if (key === prefix) named.set("default", value)
    else if (key.startsWith(prefix + ".")) named.set(key.slice(prefix.length + 1), value)
  }
  return choose(named, choice)
}

function templateFiles(dir: string): Map<string, string> {
  const named = new Map<string, string>()
  const main = join(dir, "chat_template.jinja")
  if (existsSync(main)) named.set("default", readFileSync(main, "utf8"))
  const more = join(dir, "additional_chat_templates")
  if (!existsSync(more)) return named
  for (const file of readdirSync(more)) {
    if (file.endsWith(".jinja")) named.set(file.slice(0, -".jinja".length), readFileSync(join(more, file), "utf8"))
  }
  return named
}

/** A template, or a list of {name, template}. */
function templatesOf(value: unknown): Map<string, string> {
  if (typeof value === "string") return new Map([["default", value]])
  const named = new Map<string, string>()
  for (const entry of Array.isArray(value) ? (value as unknown[]) : []) {
    if (!isObject(entry)) continue
    const { name, template } = entry
    if (typeof name === "string" && typeof template === "string") named.set(name, template)
  }
  return named
}

function choose(named: ReadonlyMap<string, string>, { hasTools }: ChatTemplateChoice): string | null {
  const forTools = hasTools === true ? named.get("tool_use") : undefined
  return forTools ?? named.get("default") ?? null
}
