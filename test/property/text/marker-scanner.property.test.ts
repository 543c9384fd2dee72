import { expect, test } from "bun:test"
import fc from "fast-check"
import { MarkerScanner, MarkerSet } from "../../../src/text/marker-scanner.ts"

// Few letters, so that markers overlap each other and themselves; a character of two units among them.
const word = (maxLength: number) =>
  fc.array(fc.constantFrom("a", "b", "<", "é", "😀"), { minLength: 1, maxLength }).map((letters) => letters.join(""))
const markers = fc.array(word(5), { minLength: 1, maxLength: 5 })

/** The match that completes first, as [marker, end in the text]; looks at the text afresh at every place. */
function firstMatch(text: string, markers: readonly string[]): [number, number] | null {
  for (let end = 1; end <= text.length; end++) {
    const marker = markers.findIndex((candidate) => text.slice(0, end).endsWith(candidate))
    if (marker >= 0) return [marker, end]
  }
  return null
}

/** The longest end of the text that is the start of a marker, and not all of it. */
function heldOf(text: string, markers: readonly string[]): number {
  for (let length = text.length; length > 0; length--) {
    const tail = text.slice(-length)
    if (markers.some((marker) => marker.length > length && marker.startsWith(tail))) return length
  }
  return 0
}

test("wherever the text is cut, the same marker ends it, and only what could begin one is held", () => {
  fc.assert(
    fc.property(word(30), markers, (text, markers) => {
      const set = new MarkerSet(markers)
      const want = firstMatch(text, markers)
      for (let cut = 0; cut <= text.length; cut++) {
        const scanner = new MarkerScanner(set)
        let got: [number, number] | null = null
        for (const [start, piece] of [[0, text.slice(0, cut)], [cut, text.slice(cut)]] as const) {
          const match = scanner.find(piece)
          if (match !== null) got = [match.marker, start + match.end]
          if (match !== null) break
          expect(scanner.numHeld).toBe(heldOf(text.slice(0, start + piece.length), markers))
        }
        expect(got).toEqual(want)
      }
    }),
    { numRuns: 500 },
  )
})
