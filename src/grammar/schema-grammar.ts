/** What xgrammar compiles, and how a JSON schema becomes one. */
import type { GrammarKind } from "xgrammar-wasm"
import { GrammarError } from "./grammar-error.ts"
import { compileSchema } from "./schema/compile-schema.ts"
import type { Blanks } from "./schema/emit.ts"
import { SchemaError } from "./schema/schema-error.ts"

export interface GrammarSource {
  readonly kind: GrammarKind
  readonly text: string
  /** Texts whose special tokens may be written: a tag's own. Elsewhere no special token is part of a text. */
  readonly marks: readonly string[]
}

/** Errors: `GrammarError` naming keyword and path. */
export function schemaGrammar(schema: unknown, blanks: Blanks): string {
  try {
    return compileSchema(schema, { blanks, closesObjects: true })
  } catch (error) {
    if (error instanceof SchemaError) throw new GrammarError(`JSON schema: ${error.message}`)
    throw error
  }
}
