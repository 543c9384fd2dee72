/** Random texts of a grammar: walks under its mask, with a tokenizer of single bytes and a few words. */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { XGrammar, type CompiledGrammar, type GrammarCompiler } from "xgrammar-wasm"
import { REPOSITORY } from "./source-tree.ts"

const WORDS = [
  "\",\"", "\": ", "true", "false", "null", "{\"", "\"}", "\"]", "foo", "bar", "12", "},{", "\\u00",
  "\\n", "é", "😀",
]
const encoder = new TextEncoder()
export const TINY_TOKENS: readonly Uint8Array[] = [
  ...Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte)), ...WORDS.map((word) => encoder.encode(word)),
]
export const STOP = TINY_TOKENS.length
const VOCAB_SIZE = STOP + 1
/** Texts come to an end sooner with these. */
const CLOSING = new Set([..."\"]}"].map((char) => char.charCodeAt(0)))

export async function tinyCompiler(cacheBytes = 1 << 24): Promise<GrammarCompiler> {
  const wasm = await WebAssembly.compile(readFileSync(join(REPOSITORY, "build/xgrammar/xgrammar.wasm")))
  const xgrammar = await XGrammar.instantiate(wasm)
  const bytes = Buffer.concat(TINY_TOKENS)
  const offsets = new Uint32Array(VOCAB_SIZE + 1)
  TINY_TOKENS.forEach((token, i) => (offsets[i + 1] = offsets[i]! + token.length))
  offsets[VOCAB_SIZE] = bytes.length
  return xgrammar.tokenizer({ bytes, offsets, vocabSize: VOCAB_SIZE, stopTokenIds: [STOP] }).compiler({ cacheBytes })
}

export interface Walk {
  readonly text: string
  /** False: cut at `maxTokens`. */
  readonly isWhole: boolean
}

/** `random` gives numbers in [0, 1). */
export function randomText(grammar: CompiledGrammar, random: () => number, maxTokens = 400): Walk {
  using matcher = grammar.matcher()
  const mask = new Uint32Array(Math.ceil(VOCAB_SIZE / 32))
  const bytes: number[] = []
  for (let i = 0; i < maxTokens; i++) {
    mask.fill(0xffffffff)
    matcher.fillMask(mask)
    const allowed: number[] = []
    for (let id = 0; id < VOCAB_SIZE; id++) if ((mask[id >> 5]! >>> (id & 31)) & 1) allowed.push(id)
    if (allowed.length === 0) throw new Error(`dead end after ${Buffer.from(bytes).toString()}`)
    const token = choose(allowed, random, i > maxTokens / 4)
    if (!matcher.accept(token)) throw new Error(`token ${token} is in the mask and refused after ${Buffer.from(bytes)}`)
    if (token === STOP) return { text: Buffer.from(bytes).toString(), isWhole: true }
    bytes.push(...TINY_TOKENS[token]!)
  }
  return { text: Buffer.from(bytes).toString(), isWhole: false }
}

/** Blanks and ends are rare by chance alone, and then too many: they are drawn by themselves. */
function choose(allowed: readonly number[], random: () => number, isLate: boolean): number {
  if (allowed.includes(STOP) && (isLate || random() < 0.4)) return STOP
  const closing = allowed.filter((id) => CLOSING.has(id))
  if (closing.length > 0 && random() < (isLate ? 0.9 : 0.15)) return closing[Math.floor(random() * closing.length)]!
  const marks = allowed.filter((id) => id !== 32 && id !== 9 && id !== 10)
  const from = marks.length > 0 && random() < 0.95 ? marks : allowed
  return from[Math.floor(random() * from.length)]!
}

/** Whether the grammar has `text` as one of its texts. */
export function admits(grammar: CompiledGrammar, text: string): boolean {
  using matcher = grammar.matcher()
  return matcher.acceptText(text) && matcher.isComplete
}
