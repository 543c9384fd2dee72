/**
 * Text as Python sees it: indexes and lengths count code points, white space and line ends are Unicode's.
 *
 * Strings without surrogates, nearly all there are, have one UTF-16 unit for each code point and take the short way.
 */
const SURROGATE = /[\ud800-\udfff]/
/** Of `str.isspace`, which differs from JavaScript's \s. */
const SPACES = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000"
const LINE_END = /\r\n|[\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029]/g
const IS_SPACE = new RegExp(`^[${SPACES}]+$`)
const WORD = new RegExp(`[^${SPACES}]+`, "g")
const SPACE_CODES: ReadonlySet<number> = new Set(
  Array.from({ length: 0x3001 }, (_, code) => code).filter((code) => IS_SPACE.test(String.fromCharCode(code))),
)

/** Whether an index into the string is an index of code points. */
export function isNarrow(text: string): boolean {
  return !SURROGATE.test(text)
}

export function codePoints(text: string): string[] {
  return isNarrow(text) ? text.split("") : Array.from(text)
}

export function codePointLength(text: string): number {
  if (isNarrow(text)) return text.length
  let length = 0
  for (const _ of text) length++
  return length
}

/** Code points before a UTF-16 index. */
export function codePointIndex(text: string, index: number): number {
  return isNarrow(text) ? index : codePointLength(text.slice(0, index))
}

/** [start, end) in code points, both within the text. */
export function sliceCodePoints(text: string, start: number, end: number): string {
  if (isNarrow(text)) return text.slice(start, end)
  const from = unitIndex(text, 0, start)
  return text.slice(from, unitIndex(text, from, end - start))
}

/** The UTF-16 index `count` code points behind `from`. */
function unitIndex(text: string, from: number, count: number): number {
  let at = from
  for (let i = 0; i < count && at < text.length; i++) at += text.codePointAt(at)! > 0xffff ? 2 : 1
  return at
}

export function isSpace(text: string): boolean {
  return IS_SPACE.test(text)
}

/** The words between white space, with their places. */
export function wordMatches(text: string): IterableIterator<RegExpExecArray> {
  return text.matchAll(WORD)
}

export type Sides = "both" | "left" | "right"

/** `str.strip(chars)`; null strips white space. */
export function strip(text: string, chars: string | null, sides: Sides): string {
  const set = chars === null ? SPACE_CODES : new Set(codePoints(chars).map((char) => char.codePointAt(0)!))
  let start = 0
  let end = text.length
  while (sides !== "right" && start < end) {
    const code = text.codePointAt(start)!
    if (!set.has(code)) break
    start += code > 0xffff ? 2 : 1
  }
  while (sides !== "left" && start < end) {
    const pair = end - start >= 2 ? text.codePointAt(end - 2)! : 0
    if (!set.has(pair > 0xffff ? pair : text.charCodeAt(end - 1))) break
    end -= pair > 0xffff ? 2 : 1
  }
  return text.slice(start, end)
}

/** `str.splitlines(keepends)`. */
export function* splitLines(text: string, keepEnds = false): IterableIterator<string> {
  let start = 0
  for (const match of text.matchAll(LINE_END)) {
    const end = match.index + match[0].length
    yield text.slice(start, keepEnds ? end : match.index)
    start = end
  }
  if (start < text.length) yield text.slice(start)
}

/** `str.islower()`: some letters are small and none are large. */
export function isLower(text: string): boolean {
  return /\p{Lowercase}/u.test(text) && !/[\p{Uppercase}\p{Lt}]/u.test(text)
}

/** `str.isupper()`. */
export function isUpper(text: string): boolean {
  return /\p{Uppercase}/u.test(text) && !/[\p{Lowercase}\p{Lt}]/u.test(text)
}

/** Titlecase of one code point: differs from uppercase for ligatures, and for Georgian, which has none. */
export function titleCase(char: string): string {
  const special = DIGRAPHS[char]
  if (special !== undefined) return special
  if (/[\u10d0-\u10ff]/.test(char)) return char
  const [first = "", ...rest] = Array.from(char.toUpperCase())
  return first + rest.join("").toLowerCase()
}

const DIGRAPHS: Readonly<Record<string, string>> = Object.fromEntries(
  [["Ǆ", "ǅ", "ǆ"], ["Ǉ", "ǈ", "ǉ"], ["Ǌ", "ǋ", "ǌ"], ["Ǳ", "ǲ", "ǳ"]].flatMap((cases) =>
    cases.map((char) => [char, cases[1]!])),
)
