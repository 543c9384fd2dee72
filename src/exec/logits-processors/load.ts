import { pathToFileURL } from "node:url"
import { ConfigError } from "../../base/errors.ts"
import type { LogitsProcessor, MakeLogitsProcessor } from "./interface.ts"

/**
 * Loads the modules at `paths`, TypeScript or JavaScript. Errors: `ConfigError` naming the file, for one that cannot be
 * loaded and for one whose default export is no processor.
 */
export function loadLogitsProcessors(paths: readonly string[]): Promise<MakeLogitsProcessor[]> {
  return Promise.all(paths.map(load))
}

async function load(path: string): Promise<MakeLogitsProcessor> {
  const exported = await importDefault(path)
  if (isProcessor(exported)) return () => exported
  if (typeof exported !== "function") throw refuse(path, "its default export is no logits processor")
  return (model) => {
    const made: unknown = (exported as MakeLogitsProcessor)(model)
    if (!isProcessor(made)) throw refuse(path, "its default export makes no logits processor")
    return made
  }
}

async function importDefault(path: string): Promise<unknown> {
  try {
    const module = (await import(pathToFileURL(path).href)) as { default?: unknown }
    return module.default
  } catch (error) {
    throw refuse(path, error instanceof Error ? error.message : String(error))
  }
}

function isProcessor(value: unknown): value is LogitsProcessor {
  const candidate = value as Partial<LogitsProcessor> | null | undefined
  return typeof candidate?.name === "string" && typeof candidate.add === "function"
}

function refuse(path: string, reason: string): ConfigError {
  return new ConfigError(`--logits-processors ${path}: ${reason}`)
}
