import { expect, test } from "bun:test"
import { TokenList } from "../../../src/core/token-list.ts"
import type { ScheduledRequest } from "../../../src/core/schedule-plan.ts"
import { acceptedTokens, pushSampleRows, type SampleRow } from "../../../src/exec/sampler/sample-row.ts"

function rowsOf(draftTokenIds: number[], lastRow: number): SampleRow[] {
  const tokenIds = new TokenList([1, 2, 3])
  tokenIds.push(4)
  const rows: SampleRow[] = []
  pushSampleRows(rows, { tokenIds, draftTokenIds, numUnknownTokens: 0 } as unknown as ScheduledRequest, lastRow)
  return rows
}

test("a request without drafts has one row, after its last token", () => {
  const [row, ...others] = rowsOf([], 7)
  expect(others).toEqual([])
  expect([row!.row, row!.numDrafts, ...row!.tokenIds]).toEqual([7, 0, 1, 2, 3, 4])
})

test("with drafts a row follows each of them, with the prefix it is drawn from", () => {
  const rows = rowsOf([8, 9], 7)
  expect(rows.map(({ row }) => row)).toEqual([5, 6, 7])
  expect(rows.map(({ numTokens }) => numTokens)).toEqual([4, 5, 6])
  expect(rows.map(({ tokenIds }) => [...tokenIds])).toEqual([[1, 2, 3, 4], [1, 2, 3, 4, 8], [1, 2, 3, 4, 8, 9]])
  const last = rows[2]!.tokenIds
  expect([last.length, last.at(3), last.at(4), last.at(5), last.at(6)]).toEqual([6, 4, 8, 9, undefined])
  expect([last.slice(2), last.slice(1, 5), last.slice(5, 9)]).toEqual([[3, 4, 8, 9], [2, 3, 4, 8], [9]])
})

test("drafts are accepted as long as they are what was drawn, and the draw after them is one more token", () => {
  expect(acceptedTokens([5], [])).toEqual([5])
  expect(acceptedTokens([5, 6, 7], [5, 6])).toEqual([5, 6, 7])
  expect(acceptedTokens([5, 6, 7], [5, 9])).toEqual([5, 6])
  expect(acceptedTokens([5, 6, 7], [4, 6])).toEqual([5])
  expect(acceptedTokens([5, 6], [-1])).toEqual([5])
})
