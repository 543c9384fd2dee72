import { expect, test } from "bun:test"
import { findStopString } from "../../../src/engine/stop-strings.ts"

// text, new characters, stop strings, whether they stay in the text -> the stop string, where the text is cut
const rows: [string, number, string[], boolean, [string, number] | null][] = [
  [" The user is a", 5, ["a", "is"], false, ["is", 10]],
  [" The user is a", 5, ["a", "is"], true, ["is", 12]],
  ["abc", 3, ["abc", "b"], false, ["b", 1]],
  ["ab", 2, ["ab", "b"], false, ["ab", 0]],
  ["ab", 2, ["b", "ab"], false, ["b", 1]],
  ["hello world.", 1, ["."], false, [".", 11]],
  ["hello world.", 1, ["."], true, [".", 12]],
  ["hello world.", 0, ["."], false, null],
  ["hello world.", 1, [], false, null],
  ["a.b", 1, ["."], false, null],
  ["xxENDyy", 3, ["END"], false, ["END", 2]],
  ["xxENDyy", 2, ["END"], false, null],
]

test.each(rows)("%o, %i new, %o, included %o", (text, numNewChars, stops, isIncluded, expected) => {
  const match = findStopString(text, numNewChars, { stops, isIncluded })
  expect(match === null ? null : [match.stop, match.cut]).toEqual(expected as never)
})
