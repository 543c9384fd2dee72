import { describe, expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { ConfigError } from "../../../src/base/errors.ts"
import { ARCHITECTURES } from "../../../src/model/arch/index.ts"
import { readModelConfig } from "../../../src/model/read-config.ts"
import { describeQuantization, quantizationOfTensors } from "../../../src/model/stored-quantization.ts"
import { fixture } from "../../fixtures.ts"

const SIZES = {
  vocab_size: 512, hidden_size: 64, intermediate_size: 128, num_hidden_layers: 1, num_attention_heads: 4,
  max_position_embeddings: 256,
}

// Sizes that have no defaults.
const LATENT = { kv_lora_rank: 32, qk_nope_head_dim: 16, qk_rope_head_dim: 16, v_head_dim: 16, n_routed_experts: null }
const EXPERTS = { num_experts: 4, num_experts_per_tok: 2 }
const STATES = { state_size: 16, intermediate_size: null, num_attention_heads: null }
const OWN_SIZES: Readonly<Record<string, Record<string, unknown>>> = {
  deepseek_v2: LATENT, deepseek_v3: LATENT, mixtral: { num_local_experts: 4, num_experts_per_tok: 2 }, olmoe: EXPERTS,
  qwen2_moe: { ...EXPERTS, moe_intermediate_size: 32, shared_expert_intermediate_size: 64 },
  qwen3_moe: { ...EXPERTS, moe_intermediate_size: 32 },
  mamba: STATES,
  mamba2: { ...STATES, num_heads: 4, head_dim: 32, n_groups: 1 },
  jamba: EXPERTS,
}

describe("the architecture", () => {
  for (const architecture of ARCHITECTURES)
    test(`${architecture.modelType} is told by architectures, or by model_type where there are none`, () => {
      const { modelType: model_type } = architecture
      const sizes = { ...SIZES, ...OWN_SIZES[model_type] }
      for (const hf of architecture.hf)
        expect(readModelConfig({ ...sizes, architectures: [hf] }).architecture).toBe(architecture)
      for (const architectures of [undefined, null, []])
        expect(readModelConfig({ ...sizes, architectures, model_type }).architecture).toBe(architecture)
    })

  const rows: [config: Record<string, unknown>, message: RegExp][] = [
    [{}, /names neither an architecture nor a model_type; supported: LlamaForCausalLM/],
    [{ model_type: "mpt" }, /names no architecture, and its model_type is "mpt"; supported: LlamaForCausalLM/],
    // What config.json names counts: a classifier of the llama type is no language model.
    [{ architectures: ["LlamaForTokens"], model_type: "llama" }, /names the architecture LlamaForTokens; supported/],
    [{ architectures: "LlamaForCausalLM" }, /architectures is "LlamaForCausalLM"; it must be a list of strings/],
    [{ architectures: [1] }, /architectures is \[1\]; it must be a list of strings/],
  ]
  for (const [config, message] of rows)
    test(message.source, () => {
      expect(() => readModelConfig({ ...SIZES, ...config })).toThrow(ConfigError)
      expect(() => readModelConfig({ ...SIZES, ...config })).toThrow(message)
    })
})

describe("of several things that are wrong the most general is told", () => {
  const awq = { quantization_config: { quant_method: "awq", bits: 4, group_size: 32 } }
  const rows: [name: string, config: Record<string, unknown>, message: RegExp][] = [
    ["format of the weights", { ...awq, model_type: "mpt", vocab_size: -1, odd: 1 }, /AWQ \(4 bits, 32 in a group\)/],
    ["architecture", { model_type: "mpt", vocab_size: -1, odd: 1 }, /model_type is "mpt"/],
    ["value", { model_type: "llama", vocab_size: -1, odd: 1 }, /vocab_size is -1/],
    ["key", { model_type: "llama", odd: 1 }, /not supported: odd = 1/],
  ]
  for (const [name, config, message] of rows)
    test(name, () => expect(() => readModelConfig({ ...SIZES, ...config })).toThrow(message))
})

describe("quantized checkpoints are told by their method", () => {
  const rows: [config: Record<string, unknown>, method: string | null][] = [
    [{}, null],
    [{ quantization_config: null }, null],
    [{ quantization_config: {} }, null],
    [{ quantization_config: { load_in_4bit: false, load_in_8bit: false } }, null],
    [{ quantization_config: { quant_method: "gptq", bits: 4, group_size: 128 } }, "GPTQ (4 bits, 128 in a group)"],
    [{ quantization_config: { bits: 8, desc_act: true } }, "GPTQ (8 bits)"],
    [{ quantization_config: { quant_method: "awq", bits: 4 } }, "AWQ (4 bits)"],
    [{ quantization_config: { w_bit: 4, q_group_size: 64, zero_point: true } }, "AWQ (4 bits, 64 in a group)"],
    [{ quantization_config: { quant_method: "fp8", fmt: "e4m3" } }, "FP8 (e4m3)"],
    [{ quantization_config: { quant_method: "bitsandbytes", load_in_4bit: true } }, "bitsandbytes"],
    [{ quantization_config: { load_in_8bit: true } }, "bitsandbytes"],
    [
      { compression_config: { quant_method: "compressed-tensors", format: "pack-quantized" } },
      "compressed-tensors (pack-quantized)",
    ],
    [{ quantization: { bits: 4, group_size: 64 } }, "MLX (4 bits, 64 in a group)"],
    [{ quantization_config: { quant_method: "newest", bits: 2 } }, "newest (2 bits)"],
    [{ quantization_config: { bits: 2 } }, "a method that config.json does not name (2 bits)"],
  ]
  for (const [config, method] of rows)
    test(JSON.stringify(config), () => expect(describeQuantization(config)).toBe(method as string))

  const named = [["awq-int4", "AWQ"], ["w8a8-int8", "compressed-tensors"]] as const
  for (const [format, method] of named) {
    const dir = fixture(`models/llama-${format}`)
    if (dir === null) continue
    test(`the fixture ${format}`, () => {
      const config = JSON.parse(readFileSync(join(dir, "config.json"), "utf8")) as Record<string, unknown>
      expect(() => readModelConfig(config)).toThrow(`the checkpoint's weights are quantized with ${method}`)
      // Its architectures are missing, and are not what is wrong with it.
      expect(readModelConfig({ ...config, quantization_config: null }).architecture.modelType).toBe("llama")
    })
  }

  test("by their tensors, where the config does not say it", () => {
    const methodOf = (...names: string[]) => quantizationOfTensors("x.q_proj", (name) => names.includes(name))
    expect(methodOf("x.q_proj.qweight", "x.q_proj.qzeros")).toBe("GPTQ or AWQ")
    expect(methodOf("x.q_proj.weight_packed")).toBe("compressed-tensors")
    expect(methodOf("x.k_proj.qweight")).toBeNull()
  })
})
