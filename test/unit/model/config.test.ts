import { describe, expect, test } from "bun:test"
import { ConfigError } from "../../../src/base/errors.ts"
import { ConfigReader, decoderConfig, type ModelConfig } from "../../../src/model/config.ts"
import { ropeFrequencies } from "../../../src/model/rope.ts"

const LLAMA = {
  architectures: ["LlamaForCausalLM"],
  model_type: "llama",
  vocab_size: 512,
  hidden_size: 64,
  intermediate_size: 128,
  num_hidden_layers: 3,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  rms_norm_eps: 1e-5,
  max_position_embeddings: 256,
}

function read(over: Record<string, unknown> = {}): ModelConfig {
  const reader = new ConfigReader({ ...LLAMA, ...over })
  const config = decoderConfig(reader)
  reader.assertAllUnderstood()
  return config
}

test("Llama's defaults", () => {
  expect(read()).toEqual({
    vocabSize: 512,
    hiddenSize: 64,
    intermediateSize: 128,
    numLayers: 3,
    numHeads: 4,
    numKvHeads: 2,
    headDim: 16,
    rmsNormEps: 1e-5,
    hiddenAct: "silu",
    maxPositionEmbeddings: 256,
    maxModelLen: 256,
    tieWordEmbeddings: false,
    rope: { theta: 10_000, rotDim: 16, maxPositionEmbeddings: 256, scaling: { type: "default" } },
    rotDim: 16,
    windows: [0, 0, 0],
    attentionBias: false,
    mlpBias: false,
    bosTokenId: null,
    eosTokenIds: [],
    torchDtype: null,
  })
})

describe("values are read as transformers reads them", () => {
  const rows: [over: Record<string, unknown>, expected: Partial<ModelConfig>][] = [
    [{ num_key_value_heads: null }, { numKvHeads: 4 }],
    [{ head_dim: 128 }, { headDim: 128, rotDim: 128 }],
    [{ head_dim: null }, { headDim: 16 }],
    [{ eos_token_id: 2 }, { eosTokenIds: [2] }],
    [{ eos_token_id: [2, 3], bos_token_id: 1 }, { eosTokenIds: [2, 3], bosTokenId: 1 }],
    [{ torch_dtype: "float16" }, { torchDtype: "float16" }],
    [{ dtype: "bfloat16", torch_dtype: "float16" }, { torchDtype: "bfloat16" }],
    [{ dtype: "torch.float32" }, { torchDtype: "float32" }],
    [{ hidden_act: "gelu_pytorch_tanh" }, { hiddenAct: "gelu_tanh" }],
    [
      { tie_word_embeddings: true, attention_bias: true, mlp_bias: true },
      { tieWordEmbeddings: true, attentionBias: true, mlpBias: true },
    ],
    // Windows: Mistral, Qwen switched off and on, layer by layer.
    [{ sliding_window: 32 }, { windows: [32, 32, 32] }],
    [{ sliding_window: null }, { windows: [0, 0, 0] }],
    [{ sliding_window: 32, use_sliding_window: false, max_window_layers: 1 }, { windows: [0, 0, 0] }],
    [{ sliding_window: 32, max_window_layers: 1 }, { windows: [0, 0, 0] }],
    [{ sliding_window: 32, use_sliding_window: true, max_window_layers: 1 }, { windows: [0, 32, 32] }],
    [{ sliding_window: 32, use_sliding_window: true }, { windows: [0, 0, 0] }],
    [
      { sliding_window: 8, layer_types: ["full_attention", "sliding_attention", "full_attention"] },
      { windows: [0, 8, 0] },
    ],
    [
      {
        sliding_window: 8,
        use_sliding_window: true,
        max_window_layers: 3,
        layer_types: Array(3).fill("sliding_attention"),
      },
      { windows: [8, 8, 8] },
    ],
  ]
  for (const [over, expected] of rows) test(JSON.stringify(over), () => expect(read(over)).toMatchObject(expected))
})

describe("rotary parameters in both forms", () => {
  const yarn = { factor: 4, original_max_position_embeddings: 64 }
  const rows: [over: Record<string, unknown>, scaling: Record<string, unknown>, theta: number][] = [
    [{ rope_theta: 500, rope_scaling: null }, { type: "default" }, 500],
    [{ rope_parameters: { rope_type: "default", rope_theta: 600 }, rope_theta: 500 }, { type: "default" }, 600],
    [{ rope_theta: 500, rope_scaling: { type: "linear", factor: 2 } }, { type: "linear", factor: 2 }, 500],
    [{ rope_scaling: { rope_type: "dynamic", type: "dynamic", factor: 2 } }, { type: "dynamic", factor: 2 }, 10_000],
    [
      { rope_scaling: { type: "yarn", ...yarn, finetuned: true } },
      { type: "yarn", factor: 4, originalMaxPositionEmbeddings: 64, betaFast: 32, betaSlow: 1, truncate: true },
      10_000,
    ],
    [
      { rope_scaling: { rope_type: "yarn", ...yarn, attn_factor: 0.5, extrapolation_factor: 1 } },
      { type: "yarn", attnFactor: 0.5, attentionFactor: null },
      10_000,
    ],
    // The older section beside the newer one, as overrides and tools that know one of them leave it.
    [
      { rope_parameters: { rope_type: "default", rope_theta: 700 }, rope_scaling: { type: "linear", factor: 2 } },
      { type: "linear", factor: 2 },
      700,
    ],
    [
      { rope_parameters: { rope_type: "yarn", ...yarn, rope_theta: 5 }, rope_scaling: { type: "yarn", ...yarn } },
      { type: "yarn", factor: 4 },
      5,
    ],
    [
      { rope_parameters: { rope_type: "yarn", original_max_position_embeddings: 64, beta_fast: 0, truncate: false } },
      { type: "yarn", factor: 4, betaFast: 32, truncate: false },
      10_000,
    ],
    [
      { rope_parameters: { rope_type: "llama3", factor: 8, low_freq_factor: 1, high_freq_factor: 4 } },
      { type: "llama3", originalMaxPositionEmbeddings: 256 },
      10_000,
    ],
    [
      {
        original_max_position_embeddings: 32,
        rope_scaling: { type: "su", short_factor: Array(8).fill(1), long_factor: Array(8).fill(2) },
      },
      { type: "longrope", factor: 8, originalMaxPositionEmbeddings: 32 },
      10_000,
    ],
  ]
  for (const [over, scaling, theta] of rows)
    test(JSON.stringify(over), () => {
      const { rope } = read(over)
      expect(rope.scaling).toMatchObject(scaling)
      expect(rope.theta).toBe(theta)
    })

  test("attn_factor multiplies the factor that YaRN derives, attention_factor replaces it", () => {
    const scalingOf = (over: Record<string, number>) =>
      ropeFrequencies(read({ rope_scaling: { type: "yarn", ...yarn, ...over } }).rope, 256).attentionScaling
    const derived = 0.1 * Math.log(4) + 1
    expect(scalingOf({})).toBeCloseTo(derived, 12)
    // DeepSeek-R1-0528-Qwen3-8B undoes the derived factor.
    expect(scalingOf({ attn_factor: 0.8782488562869419 })).toBeCloseTo(1, 12)
    expect(scalingOf({ attention_factor: 0.5 })).toBe(0.5)
  })

  test("part of a head rotates", () => {
    expect(read({ partial_rotary_factor: 0.5 }).rotDim).toBe(8)
    expect(read({ rope_parameters: { partial_rotary_factor: 0.25, rope_theta: 100 } }).rotDim).toBe(4)
  })
})

describe("scaling lengthens the context to the original length times the factor", () => {
  const rows: [over: Record<string, unknown>, maxModelLen: number][] = [
    [{}, 256],
    [{ rope_scaling: { type: "linear", factor: 4 } }, 1024],
    [{ rope_scaling: { type: "dynamic", factor: 2.5 } }, 640],
    [{ rope_scaling: { type: "linear", factor: 0.5 } }, 128],
    [{ rope_scaling: { type: "linear", factor: 4, original_max_position_embeddings: 128 } }, 512],
    [{ rope_scaling: { type: "yarn", factor: 4 } }, 1024],
    // Qwen states the length before scaling, others the length after it.
    [{ rope_scaling: { type: "yarn", factor: 4, original_max_position_embeddings: 200 } }, 800],
    [{ rope_scaling: { type: "yarn", factor: 4, original_max_position_embeddings: 64 } }, 256],
    [{ rope_scaling: { type: "yarn", factor: 1.3, original_max_position_embeddings: 250 } }, 325],
    [{ rope_scaling: { type: "yarn", factor: 2 }, original_max_position_embeddings: 192 }, 384],
    // These state the length after scaling.
    [{ rope_scaling: { type: "llama3", factor: 8, low_freq_factor: 1, high_freq_factor: 4 } }, 256],
    [{ rope_scaling: { type: "longrope", factor: 4, short_factor: Array(8).fill(1), long_factor: Array(8).fill(2) } },
      256],
  ]
  for (const [over, maxModelLen] of rows)
    test(JSON.stringify(over), () =>
      expect(read(over)).toMatchObject({ maxModelLen, maxPositionEmbeddings: 256 }))

  test("dynamic frequencies are stretched beyond the original length alone", () => {
    const frequencies = (over: Record<string, unknown>, length: number) =>
      [...ropeFrequencies(read({ rope_scaling: { type: "dynamic", factor: 2, ...over } }).rope, length).invFreq]
    const plain = [...ropeFrequencies(read().rope, 256).invFreq]
    expect(frequencies({}, 256)).toEqual(plain)
    expect(frequencies({ original_max_position_embeddings: 128 }, 128)).toEqual(plain)
    expect(frequencies({ original_max_position_embeddings: 128 }, 256).at(-1)!).toBeLessThan(plain.at(-1)!)
    expect(frequencies({}, 512).at(-1)!).toBeLessThan(plain.at(-1)!)
  })
})

describe("what cannot be served is an error that names key, value and limit", () => {
  const rows: [over: Record<string, unknown>, message: RegExp][] = [
    [{ num_attention_heads: 0 }, /num_attention_heads is 0; it must be at least 1/],
    [{ num_attention_heads: 3, num_key_value_heads: 3 }, /hidden_size 64 is no multiple of num_attention_heads 3/],
    [{ num_key_value_heads: 3 }, /num_attention_heads 4 is no multiple of num_key_value_heads 3/],
    [{ num_key_value_heads: 8 }, /num_key_value_heads is 8; it must be at most 4/],
    [{ num_hidden_layers: 1e9 }, /num_hidden_layers is 1000000000; it must be at most 2048/],
    [{ num_hidden_layers: -1 }, /num_hidden_layers is -1/],
    [{ num_hidden_layers: 1.5 }, /num_hidden_layers is 1.5; it must be an integer/],
    [{ vocab_size: "512" }, /vocab_size is "512"; it must be an integer/],
    [{ hidden_size: undefined }, /config.json has no hidden_size/],
    [{ hidden_size: 2 ** 40 }, /hidden_size is 1099511627776/],
    [{ head_dim: 5 }, /5 of 5 dimensions of a head rotate; an even number must/],
    [{ rms_norm_eps: 0 }, /rms_norm_eps is 0/],
    [{ rms_norm_eps: 1e-40 }, /rms_norm_eps is 1e-40; it must be at least 1.17/],
    [{ sliding_window: 2 ** 32 }, /sliding_window is 4294967296; it must be at most 268435456/],
    [{ sliding_window: 2 ** 53 }, /sliding_window is 9007199254740992; it must be an integer/],
    [{ hidden_act: "quick_gelu" }, /hidden_act is "quick_gelu"; it must be one of silu/],
    [{ hidden_act: "constructor" }, /hidden_act is "constructor"/],
    [{ tie_word_embeddings: 1 }, /tie_word_embeddings is 1; it must be true or false/],
    [{ eos_token_id: "</s>" }, /eos_token_id is "<\/s>"/],
    [{ sliding_window: 0 }, /sliding_window is 0/],
    [{ layer_types: ["full_attention"] }, /layer_types has 1 entries, num_hidden_layers is 3/],
    [{ layer_types: Array(3).fill("linear_attention") }, /layer_types has "linear_attention"/],
    [{ layer_types: Array(3).fill("sliding_attention") }, /sliding_window is not set/],
    [{ dtype: "float64" }, /dtype is "float64"/],
    [{ is_encoder_decoder: true }, /is_encoder_decoder is true; it must be false \(nothing else is supported\)/],
    [{ attn_logit_softcapping: 50 }, /not supported: attn_logit_softcapping = 50/],
    [{ quantization_config: { bits: 4 } }, /not supported: quantization_config = \{"bits":4\}/],
    [
      { rope_scaling: { type: "mrope", mrope_section: [1] } },
      /rope_scaling.rope_type is "mrope"; it must be one of default/,
    ],
    [{ rope_scaling: { type: "linear" } }, /config.json has no rope_scaling.factor/],
    [{ rope_scaling: { type: "linear", factor: 0 } }, /rope_scaling.factor is 0/],
    [{ rope_scaling: { type: "linear", factor: 2, beta: 3 } }, /not supported: rope_scaling.beta = 3/],
    [
      { rope_scaling: { type: "llama3", factor: 8, low_freq_factor: 4, high_freq_factor: 4 } },
      /high_freq_factor 4 is not above low_freq_factor 4/,
    ],
    [
      { rope_scaling: { type: "longrope", short_factor: [1], long_factor: [1] } },
      /short_factor has 1 entries; 8 frequencies need one each/,
    ],
    [{ rope_scaling: { type: "longrope", short_factor: Array(8).fill(0), long_factor: [] } }, /short_factor has 0/],
    [{ rope_scaling: { type: "dynamic", factor: 2 }, head_dim: 2 }, /dynamic rope_scaling needs 4/],
    [{ rope_scaling: 2 }, /rope_scaling is 2; it must be an object/],
    [
      { rope_scaling: { type: "yarn", factor: 2, attn_factor: 1, attention_factor: 1 } },
      /attention_factor and attn_factor; give one of them/,
    ],
    [{ rope_scaling: { type: "yarn", factor: 2, extrapolation_factor: 0 } }, /extrapolation_factor is 0; it must be 1/],
    [{ rope_scaling: { type: "linear", factor: 1e6 }, max_position_embeddings: 2 ** 28 }, /the limit is 268435456/],
    [
      { rope_scaling: { type: "linear", factor: 2 }, rope_parameters: { rope_type: "linear", factor: 4 } },
      /rope_scaling and rope_parameters scale differently/,
    ],
    [{ brand_new_key: 1 }, /brand_new_key = 1. HINT: .*--hf-overrides '\{"brand_new_key": null\}'/],
    [{ rope_theta: 0 }, /rope_theta is 0/],
    [{ partial_rotary_factor: 2 }, /partial_rotary_factor is 2/],
  ]
  for (const [over, message] of rows)
    test(message.source, () => {
      expect(() => read(over)).toThrow(ConfigError)
      expect(() => read(over)).toThrow(message)
    })
})

test("bookkeeping keys are no reason to refuse a model, and neither are nulls", () => {
  expect(() =>
    read({
      use_cache: true,
      pretraining_tp: 1,
      initializer_range: 0.02,
      transformers_version: "4.0",
      _name_or_path: "x",
      pad_token_id: 0,
      some_future_key: null,
      is_llama_config: true,
      rope_interleaved: false,
      use_mrope: false,
    }),
  ).not.toThrow()
})

test("keys that released checkpoints carry, and that no decoder computes with", () => {
  const keys = [
    "_attn_implementation_internal", "_flash_attn_2_enabled", "_commit_hash", "attn_dropout", "mlp_dropout",
    "classifier_dropout", "embd_pdrop", "attention_probs_dropout_prob", "gradient_checkpointing", "max_sequence_length",
    "model_max_length", "seq_length", "tokenizer_model_max_length", "use_flash_attn", "flash_attn", "fuse_swiglu",
    "neftune_noise_alpha", "loss_type", "cls_token_id", "mask_token_id", "unk_token_id", "max_new_tokens", "min_p",
    "keys_to_ignore_at_inference", "tensor_parallel_degree", "sequence_parallel", "summary_type", "base_model",
    "license", "dataset", "init_std", "use_liger_kernel", "chat_template", "eos_token", "cache_implementation",
    "num_logits_to_keep", "_moe_implementation", "deepspeed", "fsdp", "model_parallel_degree", "torch_compile_options",
  ]
  expect(() => read(Object.fromEntries(keys.map((key) => [key, "x"])))).not.toThrow()
})

describe("other names of what a config says", () => {
  test("pass with the same value, and with no other", () => {
    const aliases = { num_layers: 3, n_head: 4, n_kv_heads: 2, d_model: 64, ffn_dim: 128, kv_channels: 16, norm_eps: 1e-5 }
    expect(() => read(aliases)).not.toThrow()
    for (const [key, value] of Object.entries(aliases))
      expect(() => read({ [key]: value * 2 })).toThrow(`not supported: ${key} = ${value * 2}`)
  })

  test("the number of positions as the first conversions called it", () => {
    const older = { max_position_embeddings: null, max_sequence_length: 2048 }
    expect(read(older)).toMatchObject({ maxPositionEmbeddings: 2048, maxModelLen: 2048 })
    expect(read({ max_sequence_length: 2048 }).maxModelLen).toBe(256)
    expect(() => read({ max_position_embeddings: null })).toThrow(/config.json has no max_position_embeddings/)
  })
})

describe("keys that say something about the mathematics pass with the value that changes nothing", () => {
  const rows: [key: string, neutral: unknown, other: unknown][] = [
    ["activation", "swiglu", "geglu"], ["alibi", false, true], ["rotary_pct", 1, 0.5], ["logits_scaling", 1, 8],
    ["num_experts", 0, 8], ["pruned_heads", {}, { "0": [1] }], ["use_qk_norm", false, true], ["bias", false, true],
    ["qkv_bias", false, true], ["rope_type", "default", "ntk"], ["scale_emb", 1, 12], ["use_mla", false, true],
    ["num_mtp_layers", 0, 1], ["lm_head_bias", false, true], ["parallel_block", false, true], ["rotary", true, false],
  ]
  for (const [key, neutral, other] of rows)
    test(key, () => {
      expect(() => read({ [key]: neutral })).not.toThrow()
      expect(() => read({ [key]: other })).toThrow(`not supported: ${key} = `)
    })
})

test("an architecture may let further keys pass", () => {
  const reader = new ConfigReader({ ...LLAMA, vision_config: {} })
  decoderConfig(reader)
  expect(() => reader.assertAllUnderstood()).toThrow(/vision_config/)
  expect(() => reader.assertAllUnderstood(new Set(["vision_config"]))).not.toThrow()
})
