import { describe, expect, test } from "bun:test"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Prng } from "../../../src/base/prng.ts"
import { makeSamples, type DatasetOptions } from "../../../src/bench/datasets.ts"

const TOKENS = [3, 4, 5, 6, 7, 8, 9]
const OPTIONS: DatasetOptions = {
  datasetName: "random", datasetPath: null, randomInputLen: 20, randomOutputLen: 10, randomRangeRatio: 0,
  randomPrefixLen: 0, prefixRepetitionPrefixLen: 8, prefixRepetitionSuffixLen: 4, prefixRepetitionNumPrefixes: 3,
  prefixRepetitionOutputLen: 6, customOutputLen: 9, numPrompts: 12,
}

function samples(options: Partial<DatasetOptions>, seed = 1) {
  return makeSamples({ ...OPTIONS, ...options }, TOKENS, new Prng(seed))
}

describe("datasets", () => {
  test("random prompts have the lengths asked for, and come from the seed", () => {
    const drawn = samples({})
    expect(drawn.map(({ prompt, outputLen }) => [prompt.length, outputLen])).toEqual(Array(12).fill([20, 10]))
    expect(drawn.every(({ prompt }) => (prompt as number[]).every((id) => TOKENS.includes(id)))).toBe(true)
    expect(samples({})).toEqual(drawn)
    expect(samples({}, 2)).not.toEqual(drawn)
  })

  test("a range ratio spreads the lengths, and no length is 0", () => {
    const lengths = samples({ randomRangeRatio: 0.5, numPrompts: 300 }).map(({ prompt }) => prompt.length)
    expect([Math.min(...lengths), Math.max(...lengths)]).toEqual([10, 30])
    const short = samples({ randomRangeRatio: 0.9, randomInputLen: 1, randomOutputLen: 1 })
    expect(short.every(({ prompt, outputLen }) => prompt.length === 1 && outputLen === 1)).toBe(true)
  })

  test("a random prefix is the same in all prompts", () => {
    const heads = samples({ randomPrefixLen: 5 }).map(({ prompt }) => String(prompt.slice(0, 5)))
    expect(new Set(heads).size).toBe(1)
  })

  test("prefixes repeat, evenly", () => {
    const counts = new Map<string, number>()
    for (const { prompt } of samples({ datasetName: "prefix-repetition" })) {
      expect(prompt.length).toBe(12)
      const head = String(prompt.slice(0, 8))
      counts.set(head, (counts.get(head) ?? 0) + 1)
    }
    expect([...counts.values()]).toEqual([4, 4, 4])
  })
})

describe("a file of prompts", () => {
  function fromFile(text: string, options: Partial<DatasetOptions> = {}) {
    const directory = mkdtempSync(join(tmpdir(), "baozi-dataset-"))
    const datasetPath = join(directory, "prompts.jsonl")
    try {
      writeFileSync(datasetPath, text)
      return samples({ datasetName: "custom", datasetPath, ...options })
    } finally {
      rmSync(directory, { recursive: true })
    }
  }

  test("gives texts and their lengths, again where there are too few", () => {
    const drawn = fromFile('{"prompt": "a"}\n\n{"prompt": "b", "output_tokens": 3}\n', { numPrompts: 5 })
    expect(drawn.length).toBe(5)
    expect(new Map(drawn.map(({ prompt, outputLen }) => [prompt, outputLen]))).toEqual(new Map([["a", 9], ["b", 3]]))
  })

  test("is refused with the line that is wrong", () => {
    expect(() => fromFile('{"prompt": "a"}\nnothing\n')).toThrow(/prompts\.jsonl:2 is no JSON/)
    expect(() => fromFile('{"text": "a"}\n')).toThrow(/:1 has no text as "prompt"/)
    expect(() => fromFile("null\n")).toThrow(/:1 has no text as "prompt"/)
    expect(() => fromFile('{"prompt": "a", "output_tokens": 0}')).toThrow('"output_tokens" is 0, but must be 1 or more')
    expect(() => fromFile("\n")).toThrow("holds no prompts")
    expect(() => samples({ datasetName: "custom" })).toThrow("--dataset-name custom needs --dataset-path")
    expect(() => samples({ datasetName: "custom", datasetPath: "/nowhere" })).toThrow("--dataset-path /nowhere: ENOENT")
  })
})
