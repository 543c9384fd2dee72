/** Stop strings in generated text. Lengths and positions are in UTF-16 units. */

export interface StopMatch {
  readonly stopString: string
  /** Where the text is to be cut, or -1 where nothing follows. */
  readonly truncateTo: number
  /** The end of the stop string in the text. */
  readonly end: number
}

/**
 * The stop string that is completed first within the last `numNewChars` of `text`; of several completed at the same
 * place the first in the list. It may begin before the new characters. `includeInOutput` keeps it in the text.
 */
export function checkStopStrings(
  text: string,
  numNewChars: number,
  stop: readonly string[],
  includeInOutput: boolean,
): StopMatch | null {
  if (numNewChars <= 0) return null
  let first: { stopString: string; end: number } | null = null
  for (const stopString of stop) {
    const from = Math.max(0, text.length - (numNewChars + stopString.length - 1))
    const at = text.indexOf(stopString, from)
    if (at < 0) continue
    const end = at + stopString.length
    if (first === null || end < first.end) first = { stopString, end }
  }
  if (first === null) return null
  const cut = includeInOutput ? first.end : first.end - first.stopString.length
  return { ...first, truncateTo: cut === text.length ? -1 : cut }
}

/** Length of the longest end of `text` that a stop string could go on from: what must not be released yet. */
export function heldLength(text: string, stop: readonly string[]): number {
  let held = 0
  for (const stopString of stop) {
    for (let length = Math.min(stopString.length - 1, text.length); length > held; length--) {
      if (stopString.startsWith(text.slice(text.length - length))) held = length
    }
  }
  return held
}
