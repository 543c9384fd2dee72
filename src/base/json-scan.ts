/**
 * What a JSON text would become, counted in one pass over its bytes before anything is parsed.
 *
 * The scan knows strings and brackets and nothing else of the grammar: text that is not JSON is counted as far as it
 * goes, and the parser says what is wrong with it. It holds one record for each open bracket, `maxDepth` at most.
 */

/** As deep as pydantic reads: what walks JSON by recursion, as templates and schemas do, must not run out of stack. */
export const MAX_NESTING = 200

export interface JsonLimits {
  /** Lists and objects in each other; a list of numbers is one deep. */
  readonly maxDepth: number
  /** Lists, objects, strings, names of fields, true, false, null, and numbers outside of lists of numbers. */
  readonly maxValues: number
  /** Numbers in lists that hold nothing else: token ids, above all. */
  readonly maxNumbers: number
}

export interface JsonSize {
  readonly numValues: number
  readonly numNumbers: number
}

export type JsonLimit = keyof JsonLimits

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c
const COLON = 0x3a
const MINUS = 0x2d
const [ZERO, NINE] = [0x30, 0x39]
const [OPEN_LIST, CLOSE_LIST] = [0x5b, 0x5d]
const [OPEN_OBJECT, CLOSE_OBJECT] = [0x7b, 0x7d]

/** Counts what `text`, which is UTF-8, holds. Returns the name of a limit instead as soon as one is exceeded. */
export function scanJson(text: Uint8Array, limits: JsonLimits): JsonSize | JsonLimit {
  const { maxDepth, maxValues, maxNumbers } = limits
  const { length } = text
  // Of the open brackets: the numbers so far in a list that holds nothing else; -1 where they count as values.
  const pureNumbers = new Int32Array(maxDepth + 1)
  let depth = 0
  pureNumbers[0] = -1
  let numValues = 0
  let numNumbers = 0
  let isInWord = false

  for (let i = 0; i < length; i++) {
    const byte = text[i]!
    if (byte <= 0x20 || byte === COMMA || byte === COLON) {
      isInWord = false
      continue
    }
    if (byte === CLOSE_LIST || byte === CLOSE_OBJECT) {
      isInWord = false
      if (depth > 0) depth--
      continue
    }
    const isNumber = byte === MINUS || (byte >= ZERO && byte <= NINE)
    const isBracket = byte === OPEN_LIST || byte === OPEN_OBJECT
    if (isInWord && !isBracket && byte !== QUOTE) continue
    isInWord = !isBracket && byte !== QUOTE

    const pure = pureNumbers[depth]!
    if (isNumber && pure >= 0) {
      pureNumbers[depth] = pure + 1
      if (++numNumbers > maxNumbers) return "maxNumbers"
      continue
    }
    numValues++
    if (pure >= 0) {
      // The list holds something else: its numbers are values like any others.
      pureNumbers[depth] = -1
      numNumbers -= pure
      numValues += pure
    }
    if (numValues > maxValues) return "maxValues"
    if (isBracket) {
      if (++depth > maxDepth) return "maxDepth"
      pureNumbers[depth] = byte === OPEN_LIST ? 0 : -1
    } else if (byte === QUOTE) {
      i = endOfString(text, i + 1)
    }
  }
  return { numValues, numNumbers }
}

/** The index of the quote that ends the string which begins at `start`; the text's length where none does. */
function endOfString(text: Uint8Array, start: number): number {
  let from = start
  for (;;) {
    const quote = text.indexOf(QUOTE, from)
    if (quote < 0) return text.length
    let numBackslashes = 0
    while (quote - numBackslashes > start && text[quote - numBackslashes - 1] === BACKSLASH) numBackslashes++
    if (numBackslashes % 2 === 0) return quote
    from = quote + 1
  }
}
