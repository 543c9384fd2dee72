import { expect, test } from "bun:test"
import fc from "fast-check"
import { ConfigReader, decoderConfig } from "../../../src/model/config.ts"
import { buildCosSinTable } from "../../../src/model/rope.ts"
import { readOrRefuse } from "./damage.ts"

const number = fc.oneof(
  fc.constantFrom(-1, 0, 1, 2, 3, 4, 8, 64, 0.5, 1e-30, 1e9, 1e30, 2 ** 53, NaN, Infinity),
  fc.nat(128),
  fc.double({ noNaN: true }),
)
const value = fc.oneof(
  { weight: 6, arbitrary: number },
  fc.boolean(),
  fc.constant(null),
  fc.string(),
  fc.array(number, { maxLength: 9 }),
  fc.anything(),
)
// Mostly numbers that could be meant, so that many of them reach the table.
const scale = fc.oneof(
  { weight: 6, arbitrary: fc.double({ min: 1e-6, max: 1e6, noNaN: true }) },
  { weight: 3, arbitrary: fc.nat(64) },
  number,
)
const scales = fc.oneof(
  { weight: 6, arbitrary: fc.array(fc.double({ min: 1e-6, max: 1e6, noNaN: true }), { minLength: 8, maxLength: 8 }) },
  value,
)
const ropeKeys = {
  type: fc.constantFrom("default", "linear", "dynamic", "llama3", "yarn", "longrope", "factors", "?"),
  rope_theta: scale,
  factor: scale,
  low_freq_factor: scale,
  high_freq_factor: scale,
  attention_factor: scale,
  original_max_position_embeddings: fc.nat(300),
  mscale: scale,
  mscale_all_dim: scale,
  beta_fast: scale,
  beta_slow: scale,
  truncate: fc.boolean(),
  short_factor: scales,
  long_factor: scales,
  factors: scales,
}
const SOUND = {
  architectures: ["LlamaForCausalLM"], vocab_size: 8, hidden_size: 32, intermediate_size: 8, num_hidden_layers: 2,
  num_attention_heads: 2, max_position_embeddings: 64,
}

test("any config is refused or within limits", () => {
  const keys = {
    vocab_size: value,
    hidden_size: value,
    intermediate_size: value,
    num_hidden_layers: value,
    num_attention_heads: value,
    num_key_value_heads: value,
    head_dim: value,
    rms_norm_eps: value,
    hidden_act: value,
    max_position_embeddings: value,
    tie_word_embeddings: value,
    sliding_window: value,
    use_sliding_window: value,
    max_window_layers: value,
    layer_types: fc.oneof(value, fc.array(fc.constantFrom("full_attention", "sliding_attention"), { maxLength: 3 })),
    bos_token_id: value, eos_token_id: value, dtype: value, rope_scaling: value, rope_parameters: value,
  }
  fc.assert(
    fc.property(fc.record(keys, { requiredKeys: [] }), (over) => {
      const config = readOrRefuse(() => decoderConfig(new ConfigReader({ ...SOUND, ...over })))
      if (config === null) return
      expect(config.numHeads % config.numKvHeads).toBe(0)
      expect(config.rotDim % 2).toBe(0)
      expect(config.rotDim).toBeLessThanOrEqual(config.headDim)
      expect(config.windows).toHaveLength(config.numLayers)
      for (const size of [
        config.vocabSize,
        config.hiddenSize,
        config.intermediateSize,
        config.numLayers,
        config.numKvHeads,
        config.headDim,
      ])
        expect(Number.isSafeInteger(size) && size > 0).toBe(true)
    }),
    { numRuns: 1000 },
  )
})

test("any rotary parameters are refused or give a table of cosines and sines", () => {
  let tables = 0
  fc.assert(
    fc.property(
      fc.record(ropeKeys, { requiredKeys: ["type"] }),
      fc.integer({ min: 1, max: 200 }),
      (rope_parameters, length) => {
        const config = readOrRefuse(() => decoderConfig(new ConfigReader({ ...SOUND, rope_parameters })))
        if (config === null) return
        tables++
        expect(buildCosSinTable(config.rope, config.headDim, config.rotDim, length).every(Number.isFinite)).toBe(true)
      },
    ),
    { numRuns: 1000 },
  )
  expect(tables).toBeGreaterThan(50)
})
