/** Lines of at most a width, broken where Python's `textwrap` breaks them. */
import { codePointLength, sliceCodePoints } from "./code-points.ts"
import { valueError } from "./errors.ts"
import type { Limits } from "./limits.ts"
import { collector } from "./string-search.ts"

export interface WrapOptions {
  /** In code points. */
  readonly width: number
  readonly breakLongWords: boolean
  readonly breakOnHyphens: boolean
}

const WORDS = /[\t\n\v\f\r ]+|[^\t\n\v\f\r ]+/g
/** White space, dashes between words, and words with the hyphens after which they may be broken. */
const WORDS_AND_HYPHENS = new RegExp(
  "[\\t\\n\\v\\f\\r ]+|(?<=[\\w!\"'&.,?])-{2,}(?=\\w)|" +
    "[^\\t\\n\\v\\f\\r ]+?(?:-(?:(?<=[^\\W\\d_]{2}-)|(?<=[^\\W\\d_]-[^\\W\\d_]-))(?=[^\\W\\d_]-?[^\\W\\d_])|" +
    "(?=[\\t\\n\\v\\f\\r ]|$)|(?<=[\\w!\"'&.,?])(?=-{2,}\\w))",
  "g",
)

/** `textwrap.wrap(text, ...)` with tabs and white space left as they are. */
export function wrapText(text: string, options: WrapOptions, limits: Limits): string[] {
  if (options.width <= 0) throw valueError(`invalid width ${options.width} (must be > 0)`)
  // Looking for hyphens is slow enough that a character counts as much as an entry.
  limits.entries(text.length)
  const chunks: string[] = []
  const addChunk = collector(chunks, limits)
  for (const [chunk] of text.matchAll(options.breakOnHyphens ? WORDS_AND_HYPHENS : WORDS)) {
    limits.step()
    addChunk(chunk)
  }
  chunks.reverse()
  const lines: string[] = []
  const addLine = collector(lines, limits)
  while (chunks.length > 0) {
    const line = takeLine(chunks, lines.length > 0, options)
    if (line.length > 0) addLine(line.join(""))
    limits.step()
  }
  return lines
}

/** Takes the chunks of one line off the end of `chunks`, which are in reverse. */
function takeLine(chunks: string[], dropsSpace: boolean, options: WrapOptions): string[] {
  const { width, breakLongWords, breakOnHyphens } = options
  const line: string[] = []
  let length = 0
  if (dropsSpace && chunks.at(-1)!.trim() === "") chunks.pop()
  while (chunks.length > 0 && length + codePointLength(chunks.at(-1)!) <= width) {
    const chunk = chunks.pop()!
    length += codePointLength(chunk)
    line.push(chunk)
  }
  const next = chunks.at(-1)
  if (next !== undefined && codePointLength(next) > width) {
    if (breakLongWords) {
      const head = sliceCodePoints(next, 0, Math.max(1, width - length))
      const hyphen = breakOnHyphens ? head.lastIndexOf("-") : -1
      const part = hyphen > 0 && /[^-]/.test(head.slice(0, hyphen)) ? head.slice(0, hyphen + 1) : head
      line.push(part)
      chunks[chunks.length - 1] = next.slice(part.length)
    } else if (line.length === 0) line.push(chunks.pop()!)
  }
  if (line.at(-1)?.trim() === "") line.pop()
  return line
}
