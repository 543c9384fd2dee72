/**
 * What the tokens of a step may be, by grammars: a bit a token of the vocabulary, 32 to a word, the lowest bit first; a
 * token whose bit is 0 is forbidden.
 */
export interface TokenMasks {
  /**
   * The mask of the token that follows the first `numDrafts` drafts of a request, ceil(V / 32) words; null where every
   * token is allowed. Valid until the step is sampled.
   */
  maskOf(requestId: string, numDrafts: number): Uint32Array | null
}
