/**
 * JSON schemas as grammars in EBNF, exactly: every text of the grammar is valid, and what cannot be expressed is
 * refused
 * by its keyword and path. (xgrammar has a way from schemas to grammars of its own, which leaves out in silence what it
 * does not know; ADR 12.)
 */
import { Emitter, type EmitOptions } from "./emit.ts"
import { Expander } from "./expand.ts"
import { Document, type Draft } from "./references.ts"

export interface SchemaOptions extends Partial<EmitOptions> {
  /** Of schemas that do not say. */
  readonly draft?: Draft
}

/** Errors: `SchemaError`. */
export function compileSchema(schema: unknown, options: SchemaOptions = {}): string {
  const { blanks = "any", closesObjects = false, draft = "2020-12" } = options
  const document = new Document(schema, draft)
  const expander = new Expander(document)
  return new Emitter(expander, { blanks, closesObjects }).print(expander.nodes.at(document.root))
}
