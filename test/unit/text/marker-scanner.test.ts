import { expect, test } from "bun:test"
import { MarkerScanner, MarkerSet } from "../../../src/text/marker-scanner.ts"

/** Passes over `seen`, then looks in `piece`: the marker found and where the piece is cut at its end, or null. */
function find(seen: string, piece: string, markers: string[]): [string, number] | null {
  const scanner = new MarkerScanner(new MarkerSet(markers))
  scanner.pass(seen)
  const match = scanner.find(piece)
  return match === null ? null : [markers[match.marker]!, match.end]
}

// what came before, new text, markers -> the marker, where it ends in the new text
const rows: [string, string, string[], [string, number] | null][] = [
  [" The user", " is a", ["a", "is"], ["is", 3]],
  ["", "abc", ["abc", "b"], ["b", 2]],
  ["", "ab", ["ab", "b"], ["ab", 2]],
  ["", "ab", ["b", "ab"], ["b", 2]],
  ["hello world", ".", ["."], [".", 1]],
  ["hello world.", "", ["."], null],
  ["hello world", ".", [], null],
  ["a.", "b", ["."], null],
  ["xxEN", "Dyy", ["END"], ["END", 1]],
  ["xxEND", "yy", ["END"], null],
  ["aab", "aabaac", ["aabaac"], ["aabaac", 6]],
  ["abcab", "x abcabd", ["abcabd", "cabx"], ["cabx", 1]],
  ["", "same", ["same", "same"], ["same", 4]],
]

test.each(rows)("%o then %o, markers %o", (seen, piece, markers, expected) => {
  expect(find(seen, piece, markers)).toEqual(expected as never)
})

// text, markers -> what may become a marker
const held: [string, string[], string][] = [
  ["hello", ["lox"], "lo"],
  ["hello", ["zzz"], ""],
  ["aaa", ["aab"], "aa"],
  ["xab", ["abc", "b"], "ab"],
  ["xb", ["b", "xbq"], "xb"],
  ["ab", ["ab", "b"], ""],
  ["</thin", ["</think>", "nothing"], "</thin"],
]

test.each(held)("of %o with %o %o is held", (text, markers, expected) => {
  const scanner = new MarkerScanner(new MarkerSet(markers))
  scanner.pass(text)
  expect(text.slice(text.length - scanner.numHeld)).toBe(expected)
})

test("behind a match the scan starts anew", () => {
  const scanner = new MarkerScanner(new MarkerSet(["<a>", ">b"]))
  expect(scanner.find("x<a>b")).toEqual({ marker: 0, end: 4 })
  expect(scanner.find("b<a>")).toEqual({ marker: 0, end: 4 })
})
