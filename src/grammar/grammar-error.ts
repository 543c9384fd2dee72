/** A grammar that cannot be used, in words for whoever sent it: xgrammar's own, or ours with keyword and path. */
export class GrammarError extends Error {
  override readonly name = "GrammarError"
}
