/**
 * Models quantized while they are loaded: what is computed is what the reference library makes of the same levels, and
 * what is lost against the float model stays within stated bounds.
 */
import { describe, expect, test } from "bun:test"
import { ConfigError } from "../../src/base/errors.ts"
import type { EngineConfig } from "../../src/exec/engine-config.ts"
import { modelPathOf, readGolden, TestEngine } from "../engine-harness.ts"
import { fixture } from "../fixtures.ts"

type Quantization = "int8" | "int4"

// Every kind of source: float32, float16 and bfloat16; safetensors and GGUF; tied and untied heads.
const MODELS = ["llama", "qwen2", "qwen3-hd128", "gguf-llama/BF16", "gguf-qwen2/F16"]

/** Of the range of log-probabilities: activations in 12 bits against float64 sums over the same weights. */
const COMPUTE_TOLERANCE = 4e-3
/**
 * Root mean square over the vocabulary, of the float model's range: what rounding the weights may cost. The fixtures'
 * random weights, 64 columns wide, magnify errors about ten times; a trained model's do not.
 */
const LOSS: Record<Quantization, number> = { int8: 1.5e-2, int4: 1.2e-1 }

function open(dir: string, quantization: Quantization | null, over: Partial<EngineConfig> = {}): TestEngine {
  return new TestEngine(modelPathOf(dir), {
    dtype: "auto", kvCacheDtype: "float32", quantization, maxModelLen: 256, ...over,
  })
}

/** By token id: log-probabilities of what follows the prompt. */
function logprobsOf(engine: TestEngine, prompt: readonly number[]): Float64Array {
  const { topIds, topLogprobs } = engine.generate([prompt], { maxTokens: 1, logprobs: -1 })[0]!.logprobs[0]!
  const out = new Float64Array(topIds.length)
  topIds.forEach((id, i) => (out[id] = topLogprobs[i]!))
  return out
}

function rangeOf(values: Float64Array): number {
  return Math.max(...values) - Math.min(...values)
}

describe.each(MODELS)("%s", (name) => {
  const dir = fixture(`models/${name}`)

  test.skipIf(dir === null).each(["int8", "int4"] as const)("quantized to %s", async (quantization) => {
    const golden = await readGolden(dir!)
    const prompts = golden.prompts.slice(0, 4)
    const float = open(dir!, null)
    const cpu = open(dir!, quantization)
    const ref = open(dir!, quantization, { libraries: { cpu: "build/lib/libbaozi_ref.so", preload: [] } })
    // int8 is 8.5 bits with its scales; a tied embedding is held once.
    expect(cpu.model.plan.weightBytes).toBeLessThan(float.model.plan.weightBytes * 0.6)
    let squares = 0
    let count = 0
    for (const prompt of prompts) {
      const [exact, ours, theirs] = [logprobsOf(float, prompt), logprobsOf(cpu, prompt), logprobsOf(ref, prompt)]
      const range = rangeOf(exact)
      const worst = ours.reduce((most, value, id) => Math.max(most, Math.abs(value - theirs[id]!)), 0)
      expect(worst / range).toBeLessThan(COMPUTE_TOLERANCE)
      exact.forEach((value, id) => (squares += ((value - ours[id]!) / range) ** 2))
      count += exact.length
    }
    expect(Math.sqrt(squares / count)).toBeLessThan(LOSS[quantization])
    for (const engine of [float, cpu, ref]) engine.dispose()
  })
})

const quantized = fixture("models/gguf-llama/Q8_0")
test.skipIf(quantized === null)("weights that are quantized already are refused", () => {
  expect(() => open(quantized!, "int4")).toThrow(ConfigError)
  expect(() => open(quantized!, "int4")).toThrow(
    /--quantization int4 takes a checkpoint of floats \(F32, F16, BF16\), but model.embed_tokens.weight is Q8_0. HINT/,
  )
})
