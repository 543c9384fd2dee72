/** Escaping as markupsafe does it, for the filters that make text safe for HTML. */
import type { Limits } from "./limits.ts"
import { replaceEach } from "./replace-each.ts"
import { str } from "./representation.ts"
import { split } from "./string-search.ts"
import { Markup, type Value } from "./values.ts"

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;", "<": "&lt;", ">": "&gt;", "'": "&#39;", '"': "&#34;",
}

export function escapeText(text: string, limits: Limits): string {
  return replaceEach(text, /[&<>'"]/g, limits, ([char]) => ENTITIES[char]!)
}

/** The text of `escape(value)`: markup as it is, all else escaped. */
export function escapeHtml(value: Value, limits: Limits): string {
  return value instanceof Markup ? value.value : escapeText(str(value, limits), limits)
}

const NAMED: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: "\xa0" }

/** Tags and comments removed, white space joined, entities decoded: the usual names and all numbers. */
export function stripTags(text: string, limits: Limits): string {
  const plain = removeBetween(removeBetween(text, "<!--", "-->", limits), "<", ">", limits)
  const joined = split(plain, null, -1, limits).join(" ")
  return replaceEach(joined, /&(?:#(\d{1,7})|#[xX]([0-9a-fA-F]{1,6})|([a-z]{1,31}));/g, limits, (match) => {
    const [entity, decimal, hex, name] = match
    if (name !== undefined) return NAMED[name] ?? entity
    const code = decimal === undefined ? parseInt(hex!, 16) : Number(decimal)
    return code > 0 && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff) ? String.fromCodePoint(code) : "\ufffd"
  })
}

function removeBetween(text: string, open: string, close: string, limits: Limits): string {
  const kept: string[] = []
  limits.text(text.length)
  let at = 0
  for (;;) {
    const start = text.indexOf(open, at)
    const end = start < 0 ? -1 : text.indexOf(close, start)
    if (end < 0) break
    limits.step()
    kept.push(text.slice(at, start))
    at = end + close.length
  }
  return kept.join("") + text.slice(at)
}
