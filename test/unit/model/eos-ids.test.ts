import { expect, test } from "bun:test"
import { eosNotice, sortEosIds } from "../../../src/model/eos-ids.ts"

test("ids outside the vocabulary are told apart; the first that is inside is the primary one", () => {
  const eos = sortEosIds([null, 600, 2, 5, 2, -1, 511, 512, 1.5], 512)
  expect(eos).toEqual({ ids: [2, 5, 511], outside: [600, -1, 512, 1.5] })
  expect(eosNotice(eos, 512)).toBe(
    "the model's end-of-sequence ids 600, -1, 512, 1.5 are ignored: its vocabulary has 512 tokens")
})

test("nothing is told where all ids are tokens", () => {
  expect(eosNotice(sortEosIds([0, 511], 512), 512)).toBeNull()
})
