/** Text streamed in any steps equals text decoded at once, and stop strings cut it at the same place. */
import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { pieceToBytes } from "../../../src/text/byte-level.ts"
import { IncrementalDetokenizer } from "../../../src/text/detokenizer.ts"
import type { Tokenizer } from "../../../src/text/tokenizer.ts"
import { tinySentencePiece, tinyTokenizer } from "../../unit/text/tiny.ts"

const tokenizers: Record<string, Tokenizer> = {
  "byte-level": await tinyTokenizer({
    merges: [
      ["a", "b"],
      [" ", "a"],
      ["c", "b"],
    ],
    added: [{ content: "<|end|>" }, { content: "<x>", special: false }],
  }),
  sentencepiece: await tinySentencePiece("abc你🙂", [
    ["a", "b"],
    ["▁", "a"],
  ]),
}

const settings = { numRuns: 400, seed: 11 }

/** Random sizes of steps, whose sum is at least `total`. */
const stepSizes = (total: number) => fc.array(fc.integer({ min: 1, max: 5 }), { minLength: total, maxLength: total })

function inSteps<T>(items: readonly T[], sizes: readonly number[]): T[][] {
  const steps: T[][] = []
  for (let at = 0, i = 0; at < items.length; at += sizes[i++]!) steps.push(items.slice(at, at + sizes[i]!))
  return steps
}

for (const [name, tokenizer] of Object.entries(tokenizers)) {
  const anyIds = fc.array(fc.integer({ min: 0, max: tokenizer.vocabSize }), { maxLength: 40 })
  const textIds = fc.string({ unit: "binary", maxLength: 30 }).map((text) => tokenizer.encode(text.toWellFormed()))

  describe(name, () => {
    test("a stream gives what decode gives, invalid bytes and unknown ids included", () => {
      fc.assert(fc.property(anyIds, fc.boolean(), (ids, skipSpecialTokens) => {
        const stream = tokenizer.decodeStream({ skipSpecialTokens })
        const text = ids.map((id) => stream.push(id)).join("") + stream.flush()
        expect(text).toBe(tokenizer.decode(ids, { skipSpecialTokens }))
        const expected = wholeText(tokenizer, ids.filter((id) => !(skipSpecialTokens && tokenizer.isSpecial(id))))
        if (expected !== null) expect(text).toBe(expected)
      }), settings)
    })

    test("text comes back, and no piece of it is half a character", () => {
      fc.assert(fc.property(fc.string({ unit: "grapheme", maxLength: 30 }), (text) => {
        const wellFormed = text.toWellFormed().replaceAll("\ufffd", "?").replaceAll("▁", "_")
        const stream = tokenizer.decodeStream()
        const pieces = tokenizer.encode(wellFormed).map((id) => stream.push(id))
        for (const piece of pieces) {
          expect(piece.isWellFormed()).toBe(true)
          expect(piece).not.toContain("\ufffd")
        }
        expect(pieces.join("") + stream.flush()).toBe(wellFormed)
      }), settings)
    })

    test("steps of any size release the same text", () => {
      const cases = fc.tuple(
        fc.oneof(anyIds, textIds),
        stepSizes(60),
        fc.array(fc.stringMatching(/^[ab 你🙂]{1,4}$/u), { maxLength: 3 }),
        fc.boolean(),
        fc.nat(6),
      )
      fc.assert(fc.property(cases, ([ids, sizes, stop, includeStopStrInOutput, minTokens]) => {
        const options = { stop, includeStopStrInOutput, minTokens, skipSpecialTokens: true }
        const run = (steps: number[][]) => {
          const detokenizer = new IncrementalDetokenizer(tokenizer, options)
          let text = ""
          for (const step of steps) {
            const update = detokenizer.update(step, false)
            text += update.text
            if (update.stopString !== null) return { text, stopString: update.stopString, ids: detokenizer.tokenIds }
          }
          text += detokenizer.finish()
          expect(detokenizer.text).toBe(text)
          return { text, stopString: null, ids: detokenizer.tokenIds }
        }
        const one = run(ids.map((id) => [id]))
        expect(run(inSteps(ids, sizes))).toEqual(one)
        expect(one).toEqual(simplest(tokenizer, ids, options))
      }), settings)
    })
  })
}

/** All tokens at once by the rules, or null where a run of bytes is not UTF-8 (each kind has its own way with it). */
function wholeText(tokenizer: Tokenizer, ids: readonly number[]): string | null {
  const pieces = ids.map((id) => tokenizer.tokenString(id)).filter((piece) => piece !== null)
  if (tokenizer.kind === "tiktoken") {
    const bytes = pieces.flatMap((piece) => [...(pieceToBytes(piece) ?? new TextEncoder().encode(piece))])
    return new TextDecoder("utf-8", { ignoreBOM: true }).decode(Uint8Array.from(bytes))
  }
  try {
    const joined = pieces.join("\n").replace(/(?:(?:^|(?<=\n))<0x[0-9A-F]{2}>(?:\n|$))+/g, (run) => {
      const bytes = Uint8Array.from(run.match(/[0-9A-F]{2}(?=>)/g)!, (hex) => parseInt(hex, 16))
      const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes)
      return text.replaceAll("\n", "\r\r") + (run.endsWith("\n") ? "\n" : "")
    })
    return joined.replaceAll("\n", "").replaceAll("\r\r", "\n").replaceAll("▁", " ").replace(/^ /, "")
  } catch {
    return null
  }
}

/** The same by looking at the whole text after every token. */
function simplest(
  tokenizer: Tokenizer, ids: readonly number[], options: { stop: string[]; includeStopStrInOutput: boolean; minTokens: number },
): { text: string; stopString: string | null; ids: number[] } {
  const stream = tokenizer.decodeStream({ skipSpecialTokens: true })
  let text = ""
  for (let i = 0; i < ids.length; i++) {
    const before = text.length
    text += stream.push(ids[i]!)
    if (i + 1 <= options.minTokens) continue
    let best: { stopString: string; end: number } | null = null
    for (const stopString of options.stop) {
      for (let at = 0; at + stopString.length <= text.length; at++) {
        const end = at + stopString.length
        if (end > before && text.startsWith(stopString, at) && (best === null || end < best.end))
          best = { stopString, end }
      }
    }
    if (best === null) continue
    const cut = options.includeStopStrInOutput ? best.end : best.end - best.stopString.length
    return { text: text.slice(0, cut), stopString: best.stopString, ids: ids.slice(0, i + 1) }
  }
  return { text, stopString: null, ids: [...ids] }
}
