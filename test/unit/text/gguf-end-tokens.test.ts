import { describe, expect, test } from "bun:test"
import { ggufEndTokenIds } from "../../../src/text/gguf-end-tokens.ts"

const [NORMAL, CONTROL, USER_DEFINED] = [1, 3, 4]

function ends(tokens: readonly (readonly [content: string, type: number])[], withTypes = true): readonly number[] {
  const metadata = new Map<string, unknown>([["tokenizer.ggml.tokens", tokens.map(([content]) => content)]])
  if (withTypes) metadata.set("tokenizer.ggml.token_type", Int32Array.from(tokens, ([, type]) => type))
  return ggufEndTokenIds(metadata)
}

describe("control tokens with well-known names end a text", () => {
  const names = [
    "<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<|end|>", "<end_of_turn>", "<|endoftext|>", "<|end_of_text|>", "</s>",
    "<|eot|>", "<EOT>", "[EOT]", "<eos>", "<｜end▁of▁sentence｜>", "<|END_OF_TURN_TOKEN|>",
  ]
  for (const name of names) test(name, () => expect(ends([["a", NORMAL], [name, CONTROL]])).toEqual([1]))

  test("several, in the order of the vocabulary", () => {
    expect(ends([["<|endoftext|>", CONTROL], ["<|im_start|>", CONTROL], ["<|im_end|>", CONTROL]])).toEqual([0, 2])
  })

  test("of the type that added tokens have", () => {
    expect(ends([["<|im_end|>", USER_DEFINED], ["<|end|>", NORMAL], ["</s>", USER_DEFINED]])).toEqual([0])
  })

  test("in a file that tells no types", () => {
    expect(ends([["a", NORMAL], ["<|im_end|>", NORMAL]], false)).toEqual([1])
  })

  test("but <|end|> where answers end otherwise", () => {
    const harmony = [["<|end|>", CONTROL], ["<|return|>", CONTROL], ["<|call|>", CONTROL]] as const
    expect(ends(harmony)).toEqual([1, 2])
    expect(ends(harmony.slice(0, 2))).toEqual([0, 1])
  })

  test("none without a vocabulary", () => expect(ggufEndTokenIds(new Map())).toEqual([]))
})
