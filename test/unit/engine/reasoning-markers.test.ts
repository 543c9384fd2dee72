import { describe, expect, test } from "bun:test"
import { reasoningMarkers } from "../../../src/engine/reasoning-markers.ts"
import { ToyTokenizer } from "../../toy-tokenizer.ts"

const tokenizer = new ToyTokenizer()
const marksOf = (config: Record<string, unknown>, vocabSize = tokenizer.vocabSize) =>
  reasoningMarkers(config, tokenizer, vocabSize)
const encode = (text: string) => tokenizer.encode(text, { addSpecialTokens: false })

describe("the marks of reasoning", () => {
  test("unknown where neither the flag nor the vocabulary has them", () => {
    expect(marksOf({})).toBeNull()
  })

  test("of the flag; a sentence may come before the end's own token", () => {
    const marks = marksOf(
      { reasoning_start_str: "<t>", reasoning_end_str: "enough<|eos|>" })
    expect(marks).toEqual({
      startIds: encode("<t>"), forcedEndIds: encode("enough<|eos|>"), endIds: encode("<|eos|>"),
    })
    const plain = marksOf({ reasoning_start_str: "a", reasoning_end_str: "bc" })
    expect(plain?.endIds).toEqual(encode("bc"))
  })

  test("what is no mark is refused", () => {
    expect(() => marksOf({ reasoning_begin: "<t>" })).toThrow("reasoning_begin")
    expect(() => marksOf({ reasoning_start_str: "" })).toThrow("reasoning_start_str")
    expect(() => marksOf({ reasoning_end_str: 5 })).toThrow("reasoning_end_str is 5")
  })

  test("a mark of a token that the model has no logit for is refused", () => {
    const [eos] = encode("<|eos|>")
    const config = { reasoning_start_str: "a", reasoning_end_str: "<|eos|>" }
    expect(() => marksOf(config, eos!)).toThrow(`token ${eos} the model cannot write`)
    expect(marksOf(config, eos! + 1)?.endIds).toEqual([eos!])
  })
})
