/** What a grammar may cost. */
import type { GrammarSpec } from "../core/grammar-spec.ts"
import { GrammarError } from "./grammar-error.ts"

export interface GrammarLimits {
  /** Characters of a schema, grammar, tag or list of choices. */
  readonly maxChars: number
  readonly maxRegexChars: number
  /** Lists and objects of a schema inside each other, and groups of a grammar. */
  readonly maxDepth: number
  /** Until a grammar is ready. One that takes longer is given up, with the thread that works on it. */
  readonly compileSeconds: number
  /** Of grammars that are kept for later requests, with their masks. */
  readonly cacheBytes: number
}

export const DEFAULT_GRAMMAR_LIMITS: GrammarLimits = {
  maxChars: 256 * 1024, maxRegexChars: 4096, maxDepth: 64, compileSeconds: 10, cacheBytes: 256 * 1024 * 1024,
}

/** Errors: `GrammarError` for a text that is not to be looked at. */
export function checkSize(spec: GrammarSpec, limits: GrammarLimits): void {
  if (spec.kind === "after_reasoning") return checkSize(spec.answer, limits)
  const text = textOf(spec)
  const [max, what] = spec.kind === "regex" ? [limits.maxRegexChars, "regex"] : [limits.maxChars, spec.kind]
  if (text.length > max) throw new GrammarError(`the ${what} has ${text.length} characters; the limit is ${max}`)
  const depth = deepestNesting(text)
  const { maxDepth } = limits
  if (depth > maxDepth) throw new GrammarError(`the ${what} is nested ${depth} deep; the limit is ${maxDepth}`)
  if (spec.kind === "regex" && text.includes("\0")) throw new GrammarError("the regex holds a NUL character")
}

function textOf(spec: Exclude<GrammarSpec, { kind: "after_reasoning" }>): string {
  switch (spec.kind) {
    case "json_schema": return spec.schema
    case "json_object": return ""
    case "regex": return spec.pattern
    case "choice": return spec.choices.join("")
    case "ebnf":
    case "lark": return spec.grammar
    case "structural_tag": return spec.tag
  }
}

/** Brackets of any kind inside each other, whatever the language: what is read by recursion goes no deeper. */
function deepestNesting(text: string): number {
  let depth = 0
  let deepest = 0
  for (const char of text) {
    if (char === "{" || char === "[" || char === "(") deepest = Math.max(deepest, ++depth)
    else if (char === "}" || char === "]" || char === ")") depth = Math.max(0, depth - 1)
  }
  return deepest
}
