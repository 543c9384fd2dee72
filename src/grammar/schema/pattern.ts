/** Regular expressions in schemas. */
import type { Automaton } from "../automata/automaton.ts"
import { searching } from "../automata/regex-automaton.ts"
import { RegexError } from "../automata/regex-syntax.ts"
import { kindOf } from "./keyword.ts"
import type { Site } from "./node.ts"
import { SchemaError } from "./schema-error.ts"

/** Characters. */
const MAX_PATTERN_CHARS = 4096

/** The strings in which `source` matches. Errors: `SchemaError` naming `keyword`. */
export function patternOf(source: unknown, keyword: string, { path }: Site): Automaton {
  if (typeof source !== "string") throw new SchemaError(keyword, path, `must be a string, got ${kindOf(source)}`)
  if (source.length > MAX_PATTERN_CHARS) {
    throw new SchemaError(keyword, path, `has ${source.length} characters; the limit is ${MAX_PATTERN_CHARS}`)
  }
  try {
    return searching(source)
  } catch (error) {
    if (!(error instanceof RegexError)) throw error
    throw new SchemaError(keyword, path, `is ${JSON.stringify(source)}: ${error.message}`)
  }
}
