/**
 * Finds added tokens ("<|im_start|>") in text before the model sees it, as the reference does: leftmost, longest first,
 * with the white space that `lstrip` and `rstrip` take along.
 */
import type { AddedTokenConfig } from "./tokenizer-json.ts"

/** A stretch of ordinary text, or the id of an added token. */
export type Segment = { readonly text: string; readonly start: number } | number

export class AddedTokenSplitter {
  readonly #tokens = new Map<string, AddedTokenConfig>()
  /** First UTF-16 unit -> lengths of the tokens that start with it, longest first. */
  readonly #lengths = new Map<string, number[]>()
  readonly #firstChars: RegExp | null

  /** `contentOf` gives what is looked for: the content itself, or its normalized form. */
  constructor(tokens: readonly AddedTokenConfig[], contentOf: (token: AddedTokenConfig) => string) {
    for (const token of tokens) {
      const content = contentOf(token)
      if (content === "") continue
      this.#tokens.set(content, token)
      const first = content[0]!
      const lengths = this.#lengths.get(first) ?? []
      if (!lengths.includes(content.length)) lengths.push(content.length)
      this.#lengths.set(first, lengths)
    }
    for (const lengths of this.#lengths.values()) lengths.sort((a, b) => b - a)
    const codes = [...this.#lengths.keys()].map((char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`)
    this.#firstChars = codes.length === 0 ? null : new RegExp(`[${codes.join("")}]`, "g")
  }

  split(text: string): Segment[] {
    const candidates = this.#firstChars
    if (candidates === null || text === "") return text === "" ? [] : [{ text, start: 0 }]
    const segments: Segment[] = []
    let done = 0
    let from = 0
    for (;;) {
      candidates.lastIndex = from
      const at = candidates.exec(text)?.index
      if (at === undefined) break
      const content = this.#longestAt(text, at)
      from = content === null ? at + 1 : at + content.length
      if (content === null) continue
      const token = this.#tokens.get(content)!
      if (token.singleWord && !standsAlone(text, at, from)) continue
      const start = token.lstrip ? skipSpaceBack(text, done, at) : at
      if (start > done) segments.push({ text: text.slice(done, start), start: done })
      segments.push(token.id)
      done = token.rstrip ? skipSpace(text, from) : from
      from = Math.max(from, done)
    }
    if (done < text.length) segments.push({ text: text.slice(done), start: done })
    return segments
  }

  #longestAt(text: string, at: number): string | null {
    for (const length of this.#lengths.get(text[at]!) ?? []) {
      const content = text.substr(at, length)
      if (this.#tokens.has(content)) return content
    }
    return null
  }
}

/** Unicode's word characters as Rust's regular expressions have them, joiners included. */
function standsAlone(text: string, start: number, end: number): boolean {
  const isWord = /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\u200c\u200d]/u
  const before = text.slice(Math.max(0, start - 2), start)
  return !isWord.test([...before].at(-1) ?? "") && !isWord.test(String.fromCodePoint(text.codePointAt(end) ?? 0x20))
}

/** Unicode's white space, all of it single UTF-16 units; JavaScript's `\s` has U+FEFF for U+0085. */
const SPACE = /\p{White_Space}/u

function skipSpace(text: string, from: number): number {
  while (from < text.length && SPACE.test(text[from]!)) from++
  return from
}

function skipSpaceBack(text: string, from: number, end: number): number {
  while (end > from && SPACE.test(text[end - 1]!)) end--
  return end
}
