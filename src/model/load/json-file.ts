import { readFileSync, statSync } from "node:fs"
import { ConfigError } from "../../base/errors.ts"
import { refuseLfsPointer } from "../../base/lfs-pointer.ts"

// Configurations are kilobytes and the index of the largest checkpoints is a few megabytes.
const MAX_JSON_BYTES = 64 * 1024 * 1024
const MAX_CONFIG_CHARACTERS = 1024 * 1024

/** A JSON file that must hold an object. Null when there is no such file. Errors: `ConfigError`. */
export function readJsonObject(path: string): Record<string, unknown> | null {
  const stat = statSync(path, { throwIfNoEntry: false })
  if (stat === undefined) return null
  if (!stat.isFile()) throw new ConfigError(`${path} is not a file`)
  if (stat.size > MAX_JSON_BYTES)
    throw new ConfigError(`${path} has ${stat.size} bytes; the limit is ${MAX_JSON_BYTES}`)
  const bytes = readFileSync(path)
  refuseLfsPointer(bytes, path)
  let value: unknown
  try {
    value = JSON.parse(withoutInfinities(bytes.toString("utf8")))
  } catch (error) {
    throw new ConfigError(`${path} cannot be read as JSON: ${(error as Error).message}`)
  }
  if (!isObject(value)) throw new ConfigError(`${path} does not hold a JSON object`)
  return value
}

/** Python writes Infinity and NaN as words that JSON does not have; what it writes for them today are such objects. */
function withoutInfinities(text: string): string {
  if (text.length > MAX_CONFIG_CHARACTERS || !/Infinity|NaN/.test(text)) return text
  return text.replaceAll(/"(?:[^"\\]|\\.)*"|-?Infinity|NaN/gs, (found) => (
    found.startsWith('"') ? found : `{"__float__": "${found}"}`))
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value)
}
