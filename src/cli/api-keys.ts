import { readFileSync } from "node:fs"
import { ConfigError } from "../base/errors.ts"

/** The keys of a file: one a line; empty lines and those that begin with # are none. Errors: `ConfigError`. */
export function readApiKeys(path: string): readonly string[] {
  let content: string
  try {
    content = readFileSync(path, "utf8")
  } catch (error) {
    throw new ConfigError(`--api-key-file ${path}: ${(error as Error).message}`)
  }
  const keys = content.split("\n").map((line) => line.trim()).filter((line) => line !== "" && !line.startsWith("#"))
  // Without a key the server would be open, which nobody who names a file wants.
  if (keys.length === 0) throw new ConfigError(`--api-key-file ${path} holds no key`)
  const bad = keys.findIndex((key) => /\s/.test(key))
  if (bad >= 0) throw new ConfigError(`--api-key-file ${path}: key ${bad + 1} has a space in it`)
  return keys
}
