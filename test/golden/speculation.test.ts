/** Drafts change when tokens come, never which. */
import { describe, expect, test } from "bun:test"
import type { SpeculationConfig } from "../../src/core/draft/speculation-config.ts"
import type { SamplingParams } from "../../src/core/sampling-params.ts"
import { TestEngine, type Generated } from "../engine-harness.ts"
import { fixture } from "../fixtures.ts"

const SUFFIX: SpeculationConfig = { method: "suffix", numTokens: 12, maxDepth: 24, maxSpecFactor: 1, minTokenProb: 0.1 }
const NGRAM: SpeculationConfig = { method: "ngram", numTokens: 5, minSize: 1, maxSize: 3 }
const KINDS: readonly [string, SpeculationConfig][] = [["ngram", NGRAM], ["suffix", SUFFIX]]

/** Texts that repeat themselves, so that there is something to draft from. */
const PROMPTS = Array.from({ length: 6 }, (_, i) =>
  Array.from({ length: 40 + 7 * i }, (_, j) => 3 + ((i * 31 + (j % (5 + i)) * 17) % 400)))

/** What a draft's rows have to apply to their own prefixes. */
const ASKED: Partial<SamplingParams>[] = [
  { allowedTokenIds: [100, 101] }, // it repeats itself
  { temperature: 0.8, seed: 7n, topP: 0.9 },
  { repetitionPenalty: 1.2, frequencyPenalty: 0.3, logprobs: 3 },
  { minTokens: 20, stopTokenIds: Array.from({ length: 250 }, (_, id) => id), logprobs: 0 },
  { badWords: [[20], [30, 31]], presencePenalty: 0.2, temperature: 0.5, seed: 9n },
  { allowedTokenIds: Array.from({ length: 40 }, (_, id) => 100 + id), logprobs: 5, logprobTokenIds: [7, 101] },
]

function generate(dir: string, speculation: SpeculationConfig | null, overrides = {}) {
  const engine = new TestEngine(dir, { speculation, maxNumSeqs: 4, ...overrides })
  const sampling = ASKED.map((asked) => ({ maxTokens: 60, ...asked }))
  const outputs = engine.generate(PROMPTS, sampling)
  const { numAcceptedDrafts } = engine
  engine.dispose()
  return { outputs, numAcceptedDrafts }
}

function tokensOf(outputs: readonly Generated[]): number[][] {
  return outputs.map(({ tokenIds }) => tokenIds)
}

describe.each(["llama", "qwen2", "mistral-window", "gemma2"])("%s", (name) => {
  const dir = fixture(`models/${name}`)

  test.skipIf(dir === null).each(KINDS)("gives the same tokens and log-probabilities with %s drafts", (_, speculation) => {
    const plain = generate(dir!, null)
    const drafted = generate(dir!, speculation)
    expect(tokensOf(drafted.outputs)).toEqual(tokensOf(plain.outputs))
    expect(drafted.outputs.map(({ logprobs }) => logprobs)).toEqual(plain.outputs.map(({ logprobs }) => logprobs))
    expect(plain.numAcceptedDrafts).toBe(0)
    expect(drafted.numAcceptedDrafts).toBeGreaterThan(5)
  })

  test.skipIf(dir === null)("also where requests are preempted and prompts computed in pieces", () => {
    const tight = { numBlocksOverride: 24, maxModelLen: 160, maxNumBatchedTokens: 16 }
    expect(tokensOf(generate(dir!, NGRAM, tight).outputs)).toEqual(tokensOf(generate(dir!, null).outputs))
  })
})
