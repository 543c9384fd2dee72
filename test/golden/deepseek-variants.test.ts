/** DeepSeek's options and sizes beside those of the recorded references, with random weights. */
import { expect, test } from "bun:test"
import { join } from "node:path"
import { deepseekV2 } from "../../src/model/arch/deepseek-v2.ts"
import { deepseekV3 } from "../../src/model/arch/deepseek-v3.ts"
import { ConfigReader } from "../../src/model/config.ts"
import { TestEngine } from "../engine-harness.ts"
import { safetensorsFile, TempDir } from "../unit/model/files.ts"
import { randomTensors, referenceLogits, type Tensors } from "./deepseek-reference.ts"

const PLAIN = {
  vocab_size: 96, hidden_size: 40, intermediate_size: 56, num_hidden_layers: 3, num_attention_heads: 3,
  num_key_value_heads: 3, max_position_embeddings: 256, rms_norm_eps: 1e-6, q_lora_rank: null, kv_lora_rank: 24,
  qk_nope_head_dim: 12, qk_rope_head_dim: 8, v_head_dim: 20, n_routed_experts: 12, num_experts_per_tok: 3,
  n_shared_experts: 2, first_k_dense_replace: 1, moe_layer_freq: 1, moe_intermediate_size: 24, n_group: 4, topk_group: 2,
  routed_scaling_factor: 1.7,
}
const YARN = {
  type: "yarn", factor: 4, original_max_position_embeddings: 64, mscale: 0.7, mscale_all_dim: 0.9, beta_fast: 32,
  beta_slow: 1,
}
const VARIANTS: [name: string, version: 2 | 3, values: Record<string, unknown>][] = [
  ["queries without a rank", 2, {}],
  ["queries with a rank, biases", 2, { q_lora_rank: 28, attention_bias: true }],
  ["biases, queries without a rank", 2, { attention_bias: true }],
  ["groups by their largest", 2, { topk_method: "group_limited_greedy" }],
  ["weights that add up to one", 2, { norm_topk_prob: true, n_shared_experts: 0 }],
  ["experts in every other layer", 2, { moe_layer_freq: 2, first_k_dense_replace: 0 }],
  ["groups by their two best, with a bias", 3, { q_lora_rank: 20 }],
  ["a layer behind the last one, for further tokens", 3, { num_nextn_predict_layers: 1 }],
  ["rotary halves", 3, { rope_interleave: false }],
  ["YaRN", 3, { rope_scaling: YARN, max_position_embeddings: 64 }],
  ["no weights that add up to one", 3, { norm_topk_prob: false, scoring_func: "softmax" }],
  ["sizes of no whole registers", 3, {
    kv_lora_rank: 40, qk_rope_head_dim: 24, qk_nope_head_dim: 5, v_head_dim: 7, num_attention_heads: 5,
    num_key_value_heads: 5, q_lora_rank: 13, moe_intermediate_size: 9, n_routed_experts: 10, n_group: 2, topk_group: 1,
  }],
]

async function write(dir: string, config: object, tensors: Tensors): Promise<void> {
  const entries: Record<string, unknown> = {}
  const bytes: Uint8Array[] = []
  let at = 0
  for (const [name, { shape, data }] of tensors) {
    entries[name] = { dtype: "F32", shape, data_offsets: [at, at + data.byteLength] }
    bytes.push(new Uint8Array(data.buffer))
    at += data.byteLength
  }
  await Bun.write(join(dir, "model.safetensors"), safetensorsFile(entries, new Uint8Array(Buffer.concat(bytes))))
  await Bun.write(join(dir, "config.json"), JSON.stringify(config))
}

test.each(VARIANTS)("%s", async (_, version, values) => {
  using dir = new TempDir()
  const hf = version === 2 ? "DeepseekV2ForCausalLM" : "DeepseekV3ForCausalLM"
  const config = { architectures: [hf], ...PLAIN, ...values }
  const read = (version === 2 ? deepseekV2 : deepseekV3).config(new ConfigReader(config))
  const tensors = randomTensors(read, 11)
  if (read.numNextTokenLayers > 0)
    tensors.set(`model.layers.${read.numLayers}.eh_proj.weight`, { shape: [2, 2], data: new Float32Array(4) })
  await write(dir.path, config, tensors)
  const prompt = Array.from({ length: 37 }, (_, i) => (i * 29) % PLAIN.vocab_size)
  const expected = referenceLogits(read, tensors, prompt)
  const max = Math.max(...expected)
  const total = max + Math.log(expected.reduce((sum, x) => sum + Math.exp(x - max), 0))
  // A bfloat16 cache rounds latents to 8 bits.
  const engines = [
    { maxNumBatchedTokens: 512, kvCacheDtype: "float32", bound: 1e-4 },
    { maxNumBatchedTokens: 16, kvCacheDtype: "float32", bound: 1e-4 },
    { maxNumBatchedTokens: 16, kvCacheDtype: "bfloat16", bound: 0.1 },
  ] as const
  for (const { bound, ...options } of engines) {
    const engine = new TestEngine(dir.path, { ...options, numThreads: 1, numBlocksOverride: 16 })
    const [result] = engine.generate([prompt], { maxTokens: 1, logprobs: -1 })
    const { topIds, topLogprobs } = result!.logprobs[0]!
    const errors = topIds.map((id, k) => Math.abs(topLogprobs[k]! - (expected[id]! - total)))
    expect(topIds.length).toBe(PLAIN.vocab_size)
    expect(Math.max(...errors)).toBeLessThan(bound)
    engine.dispose()
  }
})
