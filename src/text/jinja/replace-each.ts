/** `String.replace` with a function, which stops where the limits are reached instead of finding all matches first. */
import type { Limits } from "./limits.ts"
import { TextBuilder } from "./text-builder.ts"

/** Every match of a global pattern replaced by `by(match)`; each is a step. */
export function replaceEach(
  text: string, pattern: RegExp, limits: Limits, by: (match: RegExpExecArray) => string,
): string {
  const output = new TextBuilder(limits)
  let at = 0
  limits.scan(text.length)
  for (const match of text.matchAll(pattern)) {
    limits.step()
    if (match.index > at) output.add(text.slice(at, match.index))
    output.add(by(match))
    at = match.index + match[0].length
  }
  if (at === 0) return text
  output.add(text.slice(at))
  return output.toString()
}
