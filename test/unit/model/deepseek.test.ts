import { describe, expect, test } from "bun:test"
import { readDeepSeek, type DeepSeekConfig } from "../../../src/model/arch/deepseek.ts"
import { ConfigReader } from "../../../src/model/config.ts"

const PLAIN = {
  vocab_size: 512, hidden_size: 128, intermediate_size: 128, num_hidden_layers: 5, num_attention_heads: 4,
  num_key_value_heads: 4, max_position_embeddings: 4096, q_lora_rank: null, kv_lora_rank: 64, qk_nope_head_dim: 24,
  qk_rope_head_dim: 16, v_head_dim: 20, n_routed_experts: 16, num_experts_per_tok: 4, n_shared_experts: 2,
  first_k_dense_replace: 1, moe_layer_freq: 1, moe_intermediate_size: 48, n_group: 4, topk_group: 2,
  routed_scaling_factor: 2.5,
}
const DEFAULTS = { scores: "softmax", method: "greedy", isNormalized: false } as const

function read(values: Record<string, unknown> = {}): DeepSeekConfig {
  const reader = new ConfigReader({ ...PLAIN, ...values })
  const config = readDeepSeek(reader, DEFAULTS)
  reader.assertAllUnderstood()
  return config
}

test("sizes of heads, and the rotary part's", () => {
  const { latent, headDim, rotDim } = read()
  expect(latent).toEqual({
    memory: { kind: "latent", rank: 64, ropeDim: 16 }, nopeDim: 24, valueDim: 20, queryRank: null,
  })
  expect([headDim, rotDim]).toEqual([16, 16])
  expect(read({ q_lora_rank: 48, qk_head_dim: 40, head_dim: 16 }).latent.queryRank).toBe(48)
})

test("YaRN's share of the scale of scores", () => {
  expect(read().scoreScale).toBeCloseTo(40 ** -0.5, 12)
  const yarn = { type: "yarn", factor: 40, original_max_position_embeddings: 4096, mscale: 0.707 }
  expect(read({ rope_scaling: yarn }).scoreScale).toBeCloseTo(40 ** -0.5, 12)
  expect(read({ rope_scaling: { ...yarn, mscale_all_dim: 0.707 } }).scoreScale)
    .toBeCloseTo(40 ** -0.5 * (0.1 * 0.707 * Math.log(40) + 1) ** 2, 12)
})

describe("experts", () => {
  test("are in the layers that the config says", () => {
    expect(read().experts!.layers).toEqual([false, true, true, true, true])
    expect(read({ moe_layer_freq: 2 }).experts!.layers).toEqual([false, false, true, false, true])
    const none = ["num_experts_per_tok", "n_shared_experts", "first_k_dense_replace", "moe_layer_freq", "n_group",
      "moe_intermediate_size", "topk_group", "routed_scaling_factor", "n_routed_experts"]
    expect(read(Object.fromEntries(none.map((key) => [key, null]))).experts).toBeNull()
  })

  test("are chosen by one of three methods", () => {
    expect(read().experts).toMatchObject({
      numExperts: 16, size: 48, numShared: 2, hasBias: false,
      routing: { perToken: 4, scores: "softmax", isNormalized: false, scale: 2.5, groups: null },
    })
    expect(read({ topk_method: "group_limited_greedy" }).experts)
      .toMatchObject({ hasBias: false, routing: { groups: { count: 4, top: 2, scores: "max" } } })
    expect(read({ topk_method: "noaux_tc", scoring_func: "sigmoid", norm_topk_prob: true }).experts).toMatchObject({
      hasBias: true, routing: { groups: { count: 4, top: 2, scores: "top2" }, scores: "sigmoid", isNormalized: true },
    })
  })

  test("may be shared ones, or none", () => {
    expect(read({ n_shared_experts: null }).experts!.numShared).toBe(0)
    const { n_shared_experts: _, ...absent } = PLAIN
    expect(() => readDeepSeek(new ConfigReader(absent), DEFAULTS)).toThrow("config.json has no n_shared_experts")
  })
})

test("layers for further tokens are counted", () => {
  expect(read({ num_nextn_predict_layers: 1 }).numNextTokenLayers).toBe(1)
})

describe("an error names key and value", () => {
  const grouped = { topk_method: "noaux_tc" }
  const cases: [values: Record<string, unknown>, words: RegExp][] = [
    [{ kv_lora_rank: 60 }, /kv_lora_rank is 60; it must be a multiple of 8/],
    [{ kv_lora_rank: 4096 }, /kv_lora_rank is 4096; it must be at most 1024/],
    [{ qk_rope_head_dim: 264 }, /qk_rope_head_dim is 264; it must be at most 256/],
    [{ qk_head_dim: 41 }, /keys that may change the model's output and are not supported: qk_head_dim = 41/],
    [{ head_dim: 32 }, /head_dim is 32; it must be qk_rope_head_dim, 16/],
    [{ partial_rotary_factor: 0.5 }, /8 of 16 rotary dimensions rotate/],
    [{ sliding_window: 64 }, /sliding windows with latent attention/],
    [{ topk_method: "best" }, /topk_method is "best"; it must be one of greedy, group_limited_greedy, noaux_tc/],
    [{ scoring_func: "tanh" }, /scoring_func is "tanh"; it must be one of softmax, sigmoid/],
    [{ ...grouped, n_group: 3 }, /n_routed_experts is 16; it must be a multiple of n_group, 3/],
    [{ ...grouped, topk_group: 5 }, /topk_group is 5; it must be at most 4/],
    [{ ...grouped, n_group: 16, topk_group: 16 }, /n_group is 16; groups are ranked by two/],
    [{ ...grouped, topk_group: 1, num_experts_per_tok: 5 }, /num_experts_per_tok is 5; the 1 best groups have 4/],
    [{ num_experts_per_tok: 17 }, /num_experts_per_tok is 17; it must be at most 16/],
    [{ n_routed_experts: 100_000 }, /n_routed_experts is 100000; it must be at most 65536/],
    [{ moe_layer_freq: 0 }, /moe_layer_freq is 0; it must be at least 1/],
  ]
  test.each(cases)("%j", (values, words) => {
    expect(() => read(values)).toThrow(words)
  })
})
