import { describe, expect, test } from "bun:test"
import { RequestError } from "../../../src/base/errors.ts"
import { makeFakeEngine } from "../../fake-engine.ts"
import { collect, joined, start } from "./harness.ts"

/** The toy tokenizer's <|im_end|> is the one token that the model has no embedding for. */
function engineWithoutLast() {
  const { engine, tokenizer } = makeFakeEngine({ model: { vocabSize: 259 } })
  return { engine, encode: (text: string) => tokenizer.encode(text, { addSpecialTokens: false }) }
}

describe("a tokenizer with tokens beyond the model's embedding", () => {
  test("serves every text that needs none of them", async () => {
    const { engine, encode } = engineWithoutLast()
    const outputs = await collect(start(engine, { promptTokenIds: encode("hi<|im_start|>") }))
    expect(joined(outputs).text).toBe("Hello, this is a reply.")
  })

  test("refuses a text that needs one, and names it", async () => {
    const { engine, encode } = engineWithoutLast()
    const failure: unknown = await collect(start(engine, { promptTokenIds: encode("hi<|im_end|>") })).catch((e) => e)
    expect(failure).toBeInstanceOf(RequestError)
    expect(failure).toMatchObject({ status: 400, param: "prompt" })
    expect((failure as Error).message).toContain('contains "<|im_end|>", token 259 of the tokenizer')
    expect((failure as Error).message).toContain("its vocabulary ends at 258")
  })

  test("knows an id that neither has as such", async () => {
    const { engine } = engineWithoutLast()
    const failure: unknown = await collect(start(engine, { promptTokenIds: [97, 5000] })).catch((e) => e)
    expect((failure as Error).message).toContain("Token id 5000 of the prompt is outside the vocabulary of 259 tokens")
  })
})
