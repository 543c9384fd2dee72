import { describe, expect, test } from "bun:test"
import { ConfigReader, decoderConfig } from "../../../src/model/config.ts"
import { applyHfOverrides } from "../../../src/model/hf-overrides.ts"
import { openGguf } from "../../../src/model/load/gguf.ts"
import { readModelConfig } from "../../../src/model/read-config.ts"
import { MemoryFile, TINY_LLAMA, tinyLlama, type GgufSpec, type GgufValue } from "./files.ts"

const u32 = (value: number): GgufValue => ({ type: "u32", value })
const f32 = (value: number): GgufValue => ({ type: "f32", value })
const text = (value: string): GgufValue => ({ type: "string", value })

/** The tiny llama with further (or, with null, without) metadata keys. */
function open(over: Readonly<Record<string, GgufValue | null>> = {}, spec: GgufSpec = {}) {
  const metadata = [...new Map<string, GgufValue | null>([...TINY_LLAMA, ...Object.entries(over)])]
    .filter((entry): entry is [string, GgufValue] => entry[1] !== null)
  return openGguf("m.gguf", () => new MemoryFile(tinyLlama({ metadata, ...spec })))
}

test("ids that end a text: one, several, and none", () => {
  const ids = (...values: number[]): GgufValue => ({ type: "array", of: 4, items: values.map(u32) })
  const endsOf = (over: Record<string, GgufValue | null>) => open(over).generationConfig["eos_token_id"]
  expect(endsOf({ "tokenizer.ggml.eot_token_id": u32(2) })).toEqual([3, 2])
  expect(endsOf({ "tokenizer.ggml.eos_token_ids": ids(1, 3, 2) })).toEqual([3, 1, 2])
  expect(endsOf({ "tokenizer.ggml.eos_token_id": null, "tokenizer.ggml.eos_token_ids": ids(1) })).toEqual([1])
  expect(endsOf({ "tokenizer.ggml.eot_token_id": u32(0xffff_ffff) })).toEqual([3])
  const none = open({ "tokenizer.ggml.eos_token_id": u32(0xffff_ffff) })
  expect([none.config["eos_token_id"], none.generationConfig["eos_token_id"]]).toEqual([undefined, undefined])
})

test("config.json of a plain llama", () => {
  const source = open()
  expect(source.config).toEqual({
    architectures: ["LlamaForCausalLM"], model_type: "llama", hidden_size: 32, intermediate_size: 64,
    num_hidden_layers: 1, num_attention_heads: 2, num_key_value_heads: 2, head_dim: 16, hidden_act: "silu",
    rms_norm_eps: 1e-5, max_position_embeddings: 128, rope_parameters: { rope_theta: 10_000, rope_type: "default" },
    vocab_size: 8, tie_word_embeddings: true, attention_bias: false, mlp_bias: false, eos_token_id: 3,
  })
  expect(source.kind).toBe("gguf")
  expect(source.ropeInterleaved).toBe(true)
  expect(source.generationConfig).toEqual({ eos_token_id: [3] })
  const reader = new ConfigReader(source.config)
  expect(decoderConfig(reader).headDim).toBe(16)
  reader.assertAllUnderstood()
})

test("ends of text and advised sampling are the generation config", () => {
  const { generationConfig } = open({
    "tokenizer.ggml.eot_token_id": u32(5),
    "tokenizer.ggml.eom_token_id": u32(3),
    "tokenizer.ggml.bos_token_id": u32(1),
    "general.sampling.temp": f32(0.6),
    "general.sampling.top_k": { type: "i32", value: 20 },
    "general.sampling.top_p": f32(0.95),
  })
  expect(generationConfig).toEqual({ bos_token_id: 1, eos_token_id: [3, 5], temperature: 0.6, top_k: 20, top_p: 0.95 })
})

test("a count of experts makes a llama file a Mixtral", () => {
  const { config } = open({ "llama.expert_count": u32(8), "llama.expert_used_count": u32(2) })
  expect(config).toMatchObject({ model_type: "mixtral", num_local_experts: 8, num_experts_per_tok: 2 })
})

test("a stack is a tensor an expert; one of other dimensions, or of too many experts, is refused", () => {
  const opened = (dims: number[]) => open({}, {
    tensors: [
      { name: "token_embd.weight", dims: [32, 8], type: 0, offset: 0 },
      { name: "blk.3.ffn_down_exps.weight", dims, type: 0, offset: 1024 },
    ],
    data: new Uint8Array(1024 + 4 * dims.reduce((product, dim) => product * dim, 1)),
  }).checkpoint
  const checkpoint = opened([8, 3, 2])
  expect(checkpoint.names()).toEqual(["model.embed_tokens.weight",
    "model.layers.3.block_sparse_moe.experts.0.w2.weight", "model.layers.3.block_sparse_moe.experts.1.w2.weight"])
  const [first, second] = [0, 1].map((e) => checkpoint.get(`model.layers.3.block_sparse_moe.experts.${e}.w2.weight`)!)
  expect([first!.shape, first!.bytes, second!.address - first!.address]).toEqual([[3, 8], 96, 96])
  expect(() => opened([8, 3])).toThrow(/ffn_down_exps.weight is \[3, 8\]; it must have three dimensions/)
  expect(() => opened([1, 1, 2 ** 20])).toThrow(/has more than 1048576 tensors/)
})

test("a window makes a llama file a Mistral", () => {
  const { config } = open({ "llama.attention.sliding_window": u32(64) })
  expect(config).toMatchObject({ architectures: ["MistralForCausalLM"], sliding_window: 64 })
})

test("head sizes and counts", () => {
  const same: GgufValue = { type: "array", of: 4, items: [u32(1)] }
  const { config } = open({
    "llama.attention.key_length": u32(8), "llama.attention.value_length": u32(8), "llama.attention.head_count_kv": same,
    "llama.rope.dimension_count": u32(4),
  })
  expect(config).toMatchObject({ head_dim: 8, num_key_value_heads: 1, rope_parameters: { partial_rotary_factor: 0.5 } })
})

describe("rotary scaling", () => {
  const factorsTensor: GgufSpec = {
    tensors: [
      { name: "token_embd.weight", dims: [32, 8], type: 0, offset: 0 },
      { name: "rope_freqs.weight", dims: [8], type: 0, offset: 1024 },
    ],
    data: new Uint8Array([
      ...new Uint8Array(1024),
      ...new Uint8Array(new Float32Array([1, 1, 1, 2, 4, 8, 8, 8]).buffer),
    ]),
  }
  const rows: [name: string, keys: Record<string, GgufValue>, expected: Record<string, unknown>, spec?: GgufSpec][] = [
    [
      "none",
      { "llama.rope.scaling.type": text("none"), "llama.rope.scaling.factor": f32(4) },
      { rope_type: "default" },
    ],
    [
      "linear",
      { "llama.rope.scaling.type": text("linear"), "llama.rope.scaling.factor": f32(4) },
      { rope_type: "linear", factor: 4 },
    ],
    ["older linear", { "llama.rope.scale_linear": f32(2) }, { rope_type: "linear", factor: 2 }],
    [
      "yarn",
      {
        "llama.rope.scaling.type": text("yarn"),
        "llama.rope.scaling.factor": f32(4),
        "llama.rope.scaling.original_context_length": u32(32),
        "llama.rope.scaling.yarn_beta_fast": f32(16),
      },
      { rope_type: "yarn", factor: 4, original_max_position_embeddings: 32, beta_fast: 16 },
    ],
    [
      "yarn with a factor of attention",
      {
        "llama.rope.scaling.type": text("yarn"),
        "llama.rope.scaling.factor": f32(4),
        "llama.rope.scaling.attn_factor": f32(0.5),
      },
      {
        rope_type: "yarn",
        factor: 4,
        original_max_position_embeddings: 128,
        attn_factor: 0.5,
      },
    ],
    ["divisors", {}, { rope_type: "factors", factors: [1, 1, 1, 2, 4, 8, 8, 8] }, factorsTensor],
  ]
  for (const [name, keys, expected, spec] of rows)
    test(name, () => {
      const { config, checkpoint } = open({ "llama.rope.freq_base": f32(500_000), ...keys }, spec)
      expect(config["rope_parameters"]).toEqual({ rope_theta: 500_000, ...expected })
      expect(checkpoint.names()).toEqual(["model.embed_tokens.weight"])
      expect(decoderConfig(new ConfigReader(config)).rope.scaling.type).toBe(expected["rope_type"] as "yarn")
    })

  test("divisors that are no list of F32", () => {
    const tensors = [factorsTensor.tensors![0]!, { name: "rope_freqs.weight", dims: [8], type: 1, offset: 1024 }]
    expect(() => open({}, { ...factorsTensor, tensors })).toThrow(/rope_freqs.weight is not a list of F32/)
  })
})

describe("metadata that cannot be honoured is an error that names it", () => {
  const rows: [keys: Record<string, GgufValue | null>, message: RegExp][] = [
    [{ "general.architecture": text("mpt") }, /general.architecture is "mpt"; supported: llama, qwen2, qwen3/],
    [{ "general.architecture": text("constructor") }, /"constructor"; supported/],
    [{ "general.architecture": null }, /general.architecture is missing/],
    [{ "llama.embedding_length": null }, /no metadata key llama.embedding_length/],
    [{ "llama.block_count": text("three") }, /llama.block_count is three; it must be an integer/],
    [
      { "llama.block_count": { type: "u64", value: 2n ** 60n } },
      /llama.block_count is 1152921504606846976; it must be an integer/,
    ],
    [{ "llama.attention.layer_norm_rms_epsilon": f32(NaN) }, /layer_norm_rms_epsilon is NaN; it must be a number/],
    [
      { "llama.attention.head_count_kv": { type: "array", of: 4, items: [u32(1), u32(2)] } },
      /the same integer for every layer/,
    ],
    [{ "llama.attention.key_length": u32(8), "llama.attention.value_length": u32(16) }, /keys of 8 and values of 16/],
    [{ "llama.vocab_size": u32(9) }, /the vocabulary has 9 entries, token_embd.weight has 8 rows/],
    [
      { "llama.rope.scaling.type": text("longrope") },
      /rope.scaling.type is "longrope"; none, linear and yarn are supported/,
    ],
    [{ "llama.expert_count": u32(8) }, /no metadata key llama.expert_used_count/],
    [{ "llama.expert_used_count": u32(2) }, /llama.expert_used_count is 2; it must be 0/],
  ]
  for (const [keys, message] of rows) test(message.source, () => expect(() => open(keys)).toThrow(message))

  test("a key of the architecture that nobody knows stays in the config, whose reader refuses it", () => {
    const { config } = open({ "llama.attention.scale": f32(0.25) })
    expect(config["llama.attention.scale"]).toBe(0.25)
    const read = (values: Record<string, unknown>) => readModelConfig(values)
    expect(() => read(config)).toThrow(/not supported: llama.attention.scale = 0.25. HINT/)
    expect(() => read(applyHfOverrides(config, { "llama.attention.scale": null }))).not.toThrow()
  })

  test("no embedding", () => {
    expect(() => open({}, { tensors: [] })).toThrow(/no tensor token_embd.weight/)
  })
})
