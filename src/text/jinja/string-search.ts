/** `find`, `count`, `split` and their kin: all within the limits, whatever the text. */
import { bindPositional, integerArgument, textArgument } from "./arguments.ts"
import { codePointIndex, codePointLength, codePoints, sliceCodePoints, strip, wordMatches } from "./code-points.ts"
import { typeError, valueError } from "./errors.ts"
import type { Limits } from "./limits.ts"
import { isText, textOf, Tuple, typeName, type Arguments, type Value } from "./values.ts"

/** The part of `text` in [start, stop) and where it begins, in code points; null if it begins behind the end. */
function window(
  callee: string, text: string, start: Value | undefined, stop: Value | undefined,
): { part: string; from: number } | null {
  if ((start ?? null) === null && (stop ?? null) === null) return { part: text, from: 0 }
  const length = codePointLength(text)
  const place = (value: Value | undefined, ifNone: number) => {
    if ((value ?? null) === null) return ifNone
    const index = integerArgument(callee, value!)
    return index < 0 ? Math.max(0, index + length) : index
  }
  const from = place(start, 0)
  const end = Math.min(place(stop, length), length)
  return from > end ? null : { part: sliceCodePoints(text, from, end), from }
}

/** The index of a code point, or -1. */
export function find(callee: string, text: string, args: Arguments, fromEnd: boolean, limits: Limits): number {
  const [wanted, start, stop] = bindPositional(callee, args, 1, 3)
  limits.scan(text.length)
  const needle = textArgument(callee, wanted!)
  const searched = window(callee, text, start, stop)
  if (searched === null) return -1
  const { part, from } = searched
  const index = fromEnd ? part.lastIndexOf(needle) : part.indexOf(needle)
  return index < 0 ? -1 : from + codePointIndex(part, index)
}

export function count(text: string, args: Arguments, limits: Limits): number {
  const [wanted, start, stop] = bindPositional("count", args, 1, 3)
  limits.scan(text.length)
  const needle = textArgument("count", wanted!)
  const searched = window("count", text, start, stop)
  return searched === null ? 0 : occurrences(searched.part, needle, limits)
}

function occurrences(text: string, needle: string, limits: Limits): number {
  if (needle === "") return codePointLength(text) + 1
  let found = 0
  for (let at = text.indexOf(needle); at >= 0; at = text.indexOf(needle, at + needle.length)) {
    if ((++found & 1) === 0) limits.step()
  }
  return found
}

/** `startswith` and `endswith`, of a str or any of a tuple. */
export function hasAffix(callee: "startswith" | "endswith", text: string, args: Arguments, limits: Limits): boolean {
  const [affix, start, stop] = bindPositional(callee, args, 1, 3)
  limits.step()
  const affixes = affix instanceof Tuple ? affix.items : [affix!]
  const searched = window(callee, text, start, stop)
  return affixes.some((each) => {
    if (!isText(each)) throw typeError(`${callee} first arg must be str or a tuple of str, not ${typeName(each)}`)
    if (searched === null) return false
    return callee === "startswith" ? searched.part.startsWith(textOf(each)) : searched.part.endsWith(textOf(each))
  })
}

/** `text.replace(old, by, most)`; a negative `most` replaces all. */
export function replace(text: string, old: string, by: string, most: number, limits: Limits): string {
  limits.text(text.length)
  const all = most === 0 ? 0 : occurrences(text, old, limits)
  const times = most < 0 ? all : Math.min(most, all)
  if (times === 0) return text
  limits.text(text.length + times * (by.length - old.length))
  if (old === "") return between(text, by, times, limits)
  if (times === all) return text.replaceAll(old, by.replaceAll("$", "$$$$"))
  const parts: string[] = []
  let at = 0
  for (let i = 0; i < times; i++) {
    const found = text.indexOf(old, at)
    parts.push(text.slice(at, found), by)
    at = found + old.length
  }
  return parts.join("") + text.slice(at)
}

/** `by` before each of the first `times` code points, and behind the last. */
function between(text: string, by: string, times: number, limits: Limits): string {
  limits.entries(times)
  const chars = codePoints(text)
  const head = chars.slice(0, times).map((char) => by + char).join("")
  return times > chars.length ? head + by : head + chars.slice(times).join("")
}

/** `text.split(separator, most)`: white space where the separator is null, all of it where `most` is negative. */
export function split(text: string, separator: string | null, most: number, limits: Limits): string[] {
  const parts: string[] = []
  const add = collector(parts, limits)
  limits.scan(text.length)
  if (separator === "") throw valueError("empty separator")
  if (separator === null) {
    for (const match of wordMatches(text)) {
      if (parts.length === most) {
        add(text.slice(match.index))
        break
      }
      add(match[0])
    }
    return parts
  }
  let at = 0
  for (;;) {
    const found = parts.length === most ? -1 : text.indexOf(separator, at)
    if (found < 0) break
    add(text.slice(at, found))
    at = found + separator.length
  }
  add(text.slice(at))
  return parts
}

/** `text.rsplit(separator, most)`. */
export function splitFromEnd(text: string, separator: string | null, most: number, limits: Limits): string[] {
  if (most < 0) return split(text, separator, most, limits)
  const parts: string[] = []
  const add = collector(parts, limits)
  limits.scan(text.length)
  if (separator === "") throw valueError("empty separator")
  if (separator === null) {
    const words = split(text, null, -1, limits)
    if (words.length <= most) return words
    const kept = words.slice(words.length - most)
    let rest = strip(text, null, "right")
    for (const word of kept.toReversed()) rest = strip(rest.slice(0, rest.length - word.length), null, "right")
    return [rest, ...kept]
  }
  let end = text.length
  while (parts.length < most) {
    const found = end < separator.length ? -1 : text.lastIndexOf(separator, end - separator.length)
    if (found < 0) break
    add(text.slice(found + separator.length, end))
    end = found
  }
  add(text.slice(0, end))
  return parts.reverse()
}

/** Adds to a list while it is within the limits. */
export function collector<T>(parts: T[], limits: Limits): (part: T) => void {
  return (part) => {
    parts.push(part)
    limits.entryAdded(parts.length)
  }
}

/** `text.partition(separator)`, from either end. */
export function partition(callee: string, text: string, args: Arguments, fromEnd: boolean, limits: Limits): Tuple {
  const separator = textArgument(callee, bindPositional(callee, args, 1, 1)[0]!)
  limits.scan(text.length)
  if (separator === "") throw valueError("empty separator")
  const found = fromEnd ? text.lastIndexOf(separator) : text.indexOf(separator)
  if (found < 0) return new Tuple(fromEnd ? ["", "", text] : [text, "", ""])
  return new Tuple([text.slice(0, found), separator, text.slice(found + separator.length)])
}

