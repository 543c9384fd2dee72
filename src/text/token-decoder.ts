/**
 * Decoders: from token ids to text, at once or as a stream. A whole decode is the stream of all tokens, so the two
 * cannot differ.
 *
 * Three kinds: byte-level (bytes joined, then read as UTF-8), SentencePiece ("▁" is a space, "<0xE2>" a byte), and
 * whatever else the library decodes, which has no stream of its own and goes through a window.
 */
import { SequenceDecoder } from "@huggingface/tokenizers"
import { ConfigError } from "../base/errors.ts"
import { pieceToBytes } from "./byte-level.ts"
import type { DecodeStream } from "./tokenizer.ts"
import { isObject, stepList, type StepConfig } from "./tokenizer-json.ts"
import { Utf8Run } from "./utf8-run.ts"

/** The piece of an id; never called for unknown ids. */
export type PieceOf = (id: number) => string

export interface TokenDecoder {
  /** A stream whose first token follows `context` (ids without the skipped ones, oldest first). */
  stream(context: readonly number[]): DecodeStream
  /** The bytes of a token anywhere but at the start of a text; absent where they depend on its neighbours. */
  bytesOf?(id: number): Uint8Array
}

/** Throws `ConfigError` on an unknown kind. */
export function createTokenDecoder(config: StepConfig | null, pieceOf: PieceOf): TokenDecoder {
  const steps = stepList(config, "decoders", "decoder")
  const [first] = steps
  if (first?.type === "ByteLevel" && steps.length === 1) return byteLevelDecoder(pieceOf)
  const rules = sentencePieceRules(steps)
  return rules === null
    ? libraryDecoder(steps, pieceOf)
    : {
      stream: (context) => new SentencePieceStream(rules, pieceOf, context),
      bytesOf: (id) => sentencePieceBytes(pieceOf(id), rules),
    }
}

function sentencePieceBytes(piece: string, { space, hasByteFallback }: SentencePieceRules): Uint8Array {
  const byte = hasByteFallback ? fallbackByte(piece) : -1
  if (byte >= 0) return Uint8Array.of(byte)
  return new TextEncoder().encode(space === null ? piece : piece.replaceAll(space, " "))
}

/** A character has at most four bytes, and a token at least one. */
const MAX_CONTEXT = 4

function byteLevelDecoder(pieceOf: PieceOf): TokenDecoder {
  const encoder = new TextEncoder()
  // Added tokens are written as they are: where a character is outside the alphabet the piece is plain text.
  const bytesOf = (id: number): Uint8Array => pieceToBytes(pieceOf(id)) ?? encoder.encode(pieceOf(id))
  // Most tokens are whole characters: their text is looked up. Null: part of a character, which the stream has to join.
  const texts: (string | null)[] = []
  const textOf = (id: number): string | null => {
    const known = texts[id]
    return known === undefined ? (texts[id] = wholeText(bytesOf(id))) : known
  }
  return { stream: (context) => new ByteLevelStream(bytesOf, textOf, context), bytesOf }
}

/** The text of `bytes`, or null when they are not whole characters. */
function wholeText(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return null
  }
}

class ByteLevelStream implements DecodeStream {
  readonly #bytesOf: (id: number) => Uint8Array
  readonly #textOf: (id: number) => string | null
  readonly #utf8 = new TextDecoder("utf-8", { ignoreBOM: true })
  /** The decoder may hold the start of a character. */
  #isJoining = false

  constructor(
    bytesOf: (id: number) => Uint8Array, textOf: (id: number) => string | null, context: readonly number[],
  ) {
    this.#bytesOf = bytesOf
    this.#textOf = textOf
    for (const id of context.slice(-MAX_CONTEXT)) this.push(id)
  }

  push(id: number): string {
    const text = this.#textOf(id)
    if (text !== null && !this.#isJoining) return text
    const joined = this.#utf8.decode(this.#bytesOf(id), { stream: true })
    // After a whole character the decoder holds nothing: what it held before is joined or given out as invalid.
    this.#isJoining = text === null
    return joined
  }

  flush(): string {
    this.#isJoining = false
    return this.#utf8.decode()
  }
}

interface SentencePieceRules {
  /** What is replaced by a space, or null. */
  readonly space: string | null
  readonly hasByteFallback: boolean
  /** Spaces cut from the start of the whole text. */
  readonly strip: number
  /** Metaspace: the first token loses its "▁" altogether. */
  readonly dropsFirstSpace: boolean
}

/** The rules a sequence of decoders amounts to, or null when it is something else. */
function sentencePieceRules(steps: readonly StepConfig[]): SentencePieceRules | null {
  let rules: SentencePieceRules = { space: null, hasByteFallback: false, strip: 0, dropsFirstSpace: false }
  let isFused = false
  for (const step of steps) {
    const pattern = isObject(step["pattern"]) ? step["pattern"]["String"] : undefined
    if (step.type === "Replace" && typeof pattern === "string" && step["content"] === " " && rules.space === null) {
      rules = { ...rules, space: pattern }
    } else if (step.type === "ByteFallback") rules = { ...rules, hasByteFallback: true }
    else if (step.type === "Fuse") isFused = true
    else if (step.type === "Strip" && isFused && step["content"] === " " && (step["stop"] ?? 0) === 0) {
      rules = { ...rules, strip: typeof step["start"] === "number" ? step["start"] : 0 }
    } else if (step.type === "Metaspace" && rules.space === null) {
      const scheme = step["prepend_scheme"] ?? (step["add_prefix_space"] === false ? "never" : "always")
      const space = typeof step["replacement"] === "string" ? step["replacement"] : "▁"
      rules = { ...rules, space, dropsFirstSpace: scheme !== "never" }
    } else return null
  }
  return steps.length === 0 ? null : rules
}

class SentencePieceStream implements DecodeStream {
  readonly #rules: SentencePieceRules
  readonly #pieceOf: PieceOf
  readonly #bytes = new Utf8Run()
  #isFirstToken: boolean
  #strip: number

  constructor(rules: SentencePieceRules, pieceOf: PieceOf, context: readonly number[]) {
    this.#rules = rules
    this.#pieceOf = pieceOf
    this.#isFirstToken = context.length === 0
    this.#strip = context.length === 0 ? rules.strip : 0
    for (const id of context.slice(-MAX_CONTEXT)) this.push(id)
  }

  push(id: number): string {
    const piece = this.#pieceOf(id)
    const { space, hasByteFallback, dropsFirstSpace } = this.#rules
    const byte = hasByteFallback ? fallbackByte(piece) : -1
    const isFirst = this.#isFirstToken
    this.#isFirstToken = false
    if (byte >= 0) return this.#emit(this.#bytes.push(byte))
    const text = space === null ? piece : piece.replaceAll(space, isFirst && dropsFirstSpace ? "" : " ")
    return this.#emit(this.#bytes.flush() + text)
  }

  flush(): string {
    return this.#emit(this.#bytes.flush())
  }

  #emit(text: string): string {
    let cut = 0
    while (this.#strip > 0 && cut < text.length) {
      if (text[cut] === " ") {
        cut++
        this.#strip--
      } else this.#strip = 0
    }
    return text.slice(cut)
  }
}

/** The byte of "<0xE2>", or -1. */
function fallbackByte(piece: string): number {
  return piece.length === 6 && /^<0x[0-9A-Fa-f]{2}>$/.test(piece) ? parseInt(piece.slice(3, 5), 16) : -1
}

function libraryDecoder(steps: readonly StepConfig[], pieceOf: PieceOf): TokenDecoder {
  let decode: (pieces: string[]) => string = (pieces) => pieces.join(" ")
  if (steps.length > 0) {
    try {
      const sequence = new SequenceDecoder({ type: "Sequence", decoders: steps as never })
      decode = (pieces) => sequence.decode_chain(pieces).join("")
    } catch (error) {
      throw new ConfigError(`tokenizer: decoder cannot be used: ${(error as Error).message}`)
    }
  }
  return { stream: (context) => new WindowStream((ids) => decode(ids.map(pieceOf)), context) }
}

/** Tokens kept before the new ones, so that what depends on the token before (a space) comes out right. */
const WINDOW = 8

/** Decodes the last tokens with and without the new one; the difference is the new text. */
class WindowStream implements DecodeStream {
  readonly #decode: (ids: number[]) => string
  /** Tokens whose text has been given out, then tokens whose text has not. */
  #given: number[]
  #held: number[] = []

  constructor(decode: (ids: number[]) => string, context: readonly number[]) {
    this.#decode = decode
    this.#given = context.slice(-WINDOW)
  }

  push(id: number): string {
    this.#held.push(id)
    const text = this.#newText()
    if (text.endsWith("\ufffd")) return ""
    this.#given = [...this.#given, ...this.#held].slice(-WINDOW)
    this.#held = []
    return text
  }

  flush(): string {
    const text = this.#held.length === 0 ? "" : this.#newText()
    this.#held = []
    return text
  }

  #newText(): string {
    const given = this.#given.length === 0 ? "" : this.#decode(this.#given)
    return this.#decode([...this.#given, ...this.#held]).slice(given.length)
  }
}
