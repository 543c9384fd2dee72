/**
 * Every architecture and weight format against Hugging Face transformers' float32 results: the same greedy tokens, and
 * log-probabilities of the whole vocabulary within 2e-3 of the reference's range.
 */
import { describe, expect, test } from "bun:test"
import { fixture } from "../fixtures.ts"
import { type Golden, modelPathOf, readGolden, TestEngine } from "../engine-harness.ts"

const FLOAT_CASES = [
  "llama", "llama31-rope", "llama-yarn", "llama-hd64", "llama-long", "mistral-window", "qwen2", "qwen3", "qwen3-hd128",
  "gemma2", "phi3", "smollm3", "deepseek-v2", "deepseek-v3",
  "mixtral", "qwen2-moe", "qwen3-moe", "olmoe", "mamba", "mamba2", "jamba", "bamba", "falcon-h1",
]
const SCHEME_CASES = ["llama-gptq-int4", "llama-fp8-block"]
const GGUF_CASES = [
  ...["BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"].map((q) => `gguf-llama/${q}`),
  ...["F16", "Q4_0", "Q8_0"].map((q) => `gguf-qwen2/${q}`),
  ...["IQ4_NL", "IQ4_XS", "Q2_K", "Q3_K_M", "Q4_K_M", "Q4_K_S", "Q5_K_M", "Q6_K"].map((q) => `gguf-k-llama/${q}`),
]

/** Of the reference's range of logits: what float32 sums in another order may differ by. */
const LOGIT_TOLERANCE = 2e-3

function logSoftmax(logits: Float32Array): Float64Array {
  const max = logits.reduce((a, b) => Math.max(a, b), -Infinity)
  const sum = logits.reduce((total, x) => total + Math.exp(x - max), 0)
  return Float64Array.from(logits, (x) => x - max - Math.log(sum))
}

function checkLogits(golden: Golden, engine: TestEngine): void {
  golden.prompts.forEach((prompt, i) => {
    const reference = golden.lastLogits[i]
    if (!reference) return
    const [result] = engine.generate([prompt], { maxTokens: 1, logprobs: -1 })
    const { topIds, topLogprobs } = result!.logprobs[0]!
    expect(topIds.length).toBe(reference.length)
    const expected = logSoftmax(reference)
    const range = Math.max(...reference) - Math.min(...reference)
    const worst = topIds.reduce((most, id, k) => Math.max(most, Math.abs(topLogprobs[k]! - expected[id]!)), 0)
    expect(worst / range).toBeLessThan(LOGIT_TOLERANCE)
  })
}

describe.each([...FLOAT_CASES, ...SCHEME_CASES, ...GGUF_CASES])("%s", (name) => {
  const dir = fixture(`models/${name}`)

  test.skipIf(dir === null)("gives the reference's greedy tokens and logits", async () => {
    const golden = await readGolden(dir!)
    const engine = new TestEngine(modelPathOf(dir!))
    try {
      const generated = engine.generate(golden.prompts, { maxTokens: golden.greedy[0]!.length })
      expect(generated.map((g) => g.tokenIds)).toEqual(golden.greedy.map((ids) => [...ids]))
      checkLogits(golden, engine)
    } finally {
      engine.dispose()
    }
  })
})
