/** Finds the stop string that ends a text first. */

export interface StopMatch {
  readonly stop: string
  /** Where the match ends. */
  readonly end: number
  /** Where the text is cut: the end of the match when the stop string stays in the text, else its start. */
  readonly cut: number
}

/**
 * The match that *completes* first among the last `numNewChars` of `text`; of several that complete together the first
 * in `stops`. Null when there is none. A match must hold at least one new character.
 */
export function findStopString(
  text: string,
  numNewChars: number,
  options: { stops: readonly string[]; isIncluded: boolean },
): StopMatch | null {
  if (numNewChars === 0) return null
  let best: StopMatch | null = null
  for (const stop of options.stops) {
    const start = text.indexOf(stop, Math.max(0, text.length - numNewChars - stop.length + 1))
    if (start < 0) continue
    const end = start + stop.length
    if (best === null || end < best.end) best = { stop, end, cut: options.isIncluded ? end : start }
  }
  return best
}
