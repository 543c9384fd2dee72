/**
 * What a request's text is held to, checked for its form and no further: plain data, on its way from the API to the
 * grammar threads.
 */
export type GrammarSpec =
  /** JSON of a schema, as text. */
  | { readonly kind: "json_schema"; readonly schema: string; readonly isCompact: boolean }
  /** Any JSON object. */
  | { readonly kind: "json_object"; readonly isCompact: boolean }
  /** The whole text matches. */
  | { readonly kind: "regex"; readonly pattern: string }
  /** The text is one of them. */
  | { readonly kind: "choice"; readonly choices: readonly string[] }
  | { readonly kind: "ebnf"; readonly grammar: string }
  | { readonly kind: "lark"; readonly grammar: string }
  /** JSON of a structural tag, as text: free text with tags in it, and grammars between them. */
  | { readonly kind: "structural_tag"; readonly tag: string }
  /** Reasoning, free up to one of `ends`, and then `answer`. With `starts` one of them has to open the reasoning, and
   *  there may be none; without, the text begins inside of it. */
  | {
    readonly kind: "after_reasoning"
    readonly starts: readonly string[] | null
    readonly ends: readonly string[]
    readonly answer: GrammarSpec
  }
