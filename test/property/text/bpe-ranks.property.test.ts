/** Ranks derived from a merge list give the ids that the list itself gives, whatever its order. */
import { expect, test } from "bun:test"
import fc from "fast-check"
import { deriveBpeRanks } from "../../../src/text/bpe-ranks.ts"
import { ByteLevelBpe } from "../../../src/text/byte-level-bpe.ts"
import { pieceToBytes } from "../../../src/text/byte-level.ts"
import { mergeLongPiece } from "../../../src/text/long-piece.ts"
import { tinyJson } from "../../unit/text/tiny.ts"

/** Merges as Hugging Face does: the listed pair that comes first, leftmost first. */
function mergeByList(text: string, merges: readonly (readonly [string, string])[]): string[] {
  const priority = new Map(merges.map((pair, i) => [pair.join("\0"), i]))
  const parts = [...text]
  for (;;) {
    let best = Infinity
    let at = -1
    for (let i = 0; i + 1 < parts.length; i++) {
      const found = priority.get(`${parts[i]}\0${parts[i + 1]}`) ?? Infinity
      if (found < best) [best, at] = [found, i]
    }
    if (at < 0) return parts
    parts.splice(at, 2, parts[at]! + parts[at + 1]!)
  }
}

/** Merges of pieces made so far, in any order, several for one result. */
const mergeLists = fc.array(fc.tuple(fc.nat(), fc.nat()), { minLength: 1, maxLength: 14 }).chain((choices) => {
  const pieces = ["a", "b", "c"]
  const merges = new Map<string, [string, string]>()
  for (const [i, k] of choices) {
    const pair: [string, string] = [pieces[i % pieces.length]!, pieces[k % pieces.length]!]
    if (pair.join("").length > 8) continue
    merges.set(pair.join("\0"), pair)
    if (!pieces.includes(pair.join(""))) pieces.push(pair.join(""))
  }
  const list = [...merges.values()]
  return fc.shuffledSubarray(list, { minLength: list.length, maxLength: list.length })
})

test("ranks agree with the merge list", async () => {
  let numExact = 0
  const property = fc.asyncProperty(mergeLists, fc.array(fc.stringMatching(/^[abc]{1,12}$/), { minLength: 20, maxLength: 20 }), async (merges, texts) => {
    const json = tinyJson({ merges })
    const ranks = deriveBpeRanks(json)
    if (typeof ranks === "string") return
    numExact++
    const table = new ByteLevelBpe(json, ranks)
    const tiktoken = new ByteLevelBpe(json, ranks)
    await tiktoken.warmUp()
    for (const text of texts) {
      const expected = mergeByList(text, merges).map((piece) => json.vocab.get(piece)!)
      for (const model of [table, tiktoken]) {
        const ids: number[] = []
        model.encodePiece(text, ids)
        expect(ids).toEqual(expected)
      }
      expect(mergeLongPiece(pieceToBytes(text)!, ranks.merges).map((rank) => ranks.idOfRank[rank]!)).toEqual(expected)
    }
  })
  await fc.assert(property, { numRuns: 300, seed: 7 })
  // Lists that cannot be expressed must be rare, or the test looks at nothing.
  expect(numExact).toBeGreaterThan(200)
}, 60_000)
