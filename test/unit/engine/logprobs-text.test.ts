import { describe, expect, test } from "bun:test"
import { LogprobsText } from "../../../src/engine/logprobs-text.ts"
import { ToyTokenizer } from "../../toy-tokenizer.ts"

const tokenizer = new ToyTokenizer()
const texts = new LogprobsText(tokenizer)
const utf8 = (text: string) => [...new TextEncoder().encode(text)]
const [A, B, C] = utf8("abc") as [number, number, number]

describe("positions", () => {
  const entry = { tokenId: A, logprob: -1, rank: 1, topIds: [] as number[], topLogprobs: [] as number[] }
  const short = (position: ReturnType<LogprobsText["position"]>) =>
    position.top.map(({ token, logprob, rank }) => [token, logprob, rank])

  test("0 asks for the sampled token alone", () => {
    const position = texts.position({ ...entry, rank: 17 }, [])
    expect(position).toMatchObject({ tokenId: A, token: "a", bytes: [97], logprob: -1, rank: 17 })
    expect(short(position)).toEqual([["a", -1, 17]])
  })

  test("a sampled token that is not among the best comes before them", () => {
    const position = texts.position({ ...entry, rank: 9, topIds: [B, C], topLogprobs: [-0.1, -0.2] }, [])
    expect(short(position)).toEqual([["a", -1, 9], ["b", -0.1, 1], ["c", -0.2, 2]])
  })

  test("a sampled token among the best comes first, once, with its place there for a rank", () => {
    const position = texts.position(
      { ...entry, logprob: -0.2, rank: 3, topIds: [B, A, C], topLogprobs: [-0.1, -0.2, -0.2] },
      [],
    )
    expect(short(position)).toEqual([["a", -0.2, 2], ["b", -0.1, 1], ["c", -0.2, 3]])
    expect(position.rank).toBe(2)
  })
})

describe("token texts", () => {
  /** The texts of the tokens of `ids`, each after those before it. */
  const all = (ids: number[]) => ids.map((id, i) => texts.tokenText(id, ids.slice(0, i)))

  test("the token that completes a character has the whole of it", () => {
    expect(all(utf8("é"))).toEqual(["", "é"])
    expect(all(utf8("a😀b"))).toEqual(["a", "", "", "", "😀", "b"])
    expect(all(utf8("é😀"))).toEqual(["", "é", "", "", "", "😀"])
  })

  test("bytes that no token completes have no text", () => {
    expect(all([0xf0, 0x9f])).toEqual(["", ""])
    expect(all([0x80])).toEqual([""])
  })

  test("only the last four tokens count for context", () => {
    const long = [...utf8("xyz".repeat(50)), ...utf8("😀").slice(0, 3)]
    expect(texts.tokenText(utf8("😀")[3]!, long)).toBe("😀")
  })

  test("special tokens are written out, unknown ids are empty", () => {
    expect(all([tokenizer.eosTokenId, 9999])).toEqual(["<|eos|>", ""])
  })
})
