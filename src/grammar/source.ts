/** From what a request asks for to what xgrammar compiles. */
import { XGrammarError, type GrammarKind } from "xgrammar-wasm"
import type { GrammarSpec } from "../core/grammar-spec.ts"
import { GrammarError } from "./grammar-error.ts"
import { schemaGrammar, type GrammarSource } from "./schema-grammar.ts"
import type { Blanks } from "./schema/emit.ts"
import { quote } from "./schema/grammar-text.ts"
import { afterReasoning, readStructuralTag } from "./structural-tag.ts"

/** Errors: `GrammarError`. */
export function sourceOf(spec: GrammarSpec): GrammarSource {
  const plain = (kind: GrammarKind, text: string): GrammarSource => ({ kind, text, marks: [] })
  switch (spec.kind) {
    case "json_schema": return plain("ebnf", schemaGrammar(parseJson(spec.schema, "the schema"), blanksOf(spec)))
    case "json_object": return plain("ebnf", schemaGrammar({ type: "object" }, blanksOf(spec)))
    case "regex": return plain("regex", spec.pattern)
    case "choice": return plain("ebnf", `root ::= ${spec.choices.map(quote).join(" | ")}`)
    case "ebnf": return plain("ebnf", spec.grammar)
    case "lark": return plain("lark", spec.grammar)
    case "structural_tag": return readStructuralTag(parseJson(spec.tag, "the structural tag"))
    case "after_reasoning": return afterReasoning(spec, sourceOf(spec.answer))
  }
}

function blanksOf({ isCompact }: { readonly isCompact: boolean }): Blanks {
  return isCompact ? "none" : "any"
}

function parseJson(text: string, what: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch (error) {
    throw new GrammarError(`${what} is not JSON: ${(error as Error).message}`)
  }
}

/** Words for `error` if the grammar is to blame; null if the module is no longer to be used. */
export function wordsOf(error: unknown): string | null {
  return error instanceof GrammarError || error instanceof XGrammarError ? error.message : null
}
