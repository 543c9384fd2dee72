/** A grammar that cannot be used. The message is for the client: xgrammar's own, or ours with keyword and path. */
export class GrammarError extends Error {
  override readonly name = "GrammarError"
}
