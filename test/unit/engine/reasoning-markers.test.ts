import { describe, expect, test } from "bun:test"
import { reasoningMarkers } from "../../../src/engine/reasoning-markers.ts"
import { ToyTokenizer } from "../../toy-tokenizer.ts"

const tokenizer = new ToyTokenizer()
const encode = (text: string) => tokenizer.encode(text, { addSpecialTokens: false })

describe("the marks of reasoning", () => {
  test("unknown where neither the flag nor the vocabulary has them", () => {
    expect(reasoningMarkers({}, tokenizer)).toBeNull()
  })

  test("of the flag; a sentence may come before the end's own token", () => {
    const marks = reasoningMarkers(
      { reasoning_start_str: "<t>", reasoning_end_str: "enough<|eos|>" }, tokenizer)
    expect(marks).toEqual({
      startIds: encode("<t>"), forcedEndIds: encode("enough<|eos|>"), endIds: encode("<|eos|>"),
    })
    const plain = reasoningMarkers({ reasoning_start_str: "a", reasoning_end_str: "bc" }, tokenizer)
    expect(plain?.endIds).toEqual(encode("bc"))
  })

  test("what is no mark is refused", () => {
    expect(() => reasoningMarkers({ reasoning_begin: "<t>" }, tokenizer)).toThrow("reasoning_begin")
    expect(() => reasoningMarkers({ reasoning_start_str: "" }, tokenizer)).toThrow("reasoning_start_str")
    expect(() => reasoningMarkers({ reasoning_end_str: 5 }, tokenizer)).toThrow("reasoning_end_str is 5")
  })
})
