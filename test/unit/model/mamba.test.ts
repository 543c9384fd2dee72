import { describe, expect, test } from "bun:test"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { bamba } from "../../../src/model/arch/bamba.ts"
import { falconH1 } from "../../../src/model/arch/falcon-h1.ts"
import { jamba } from "../../../src/model/arch/jamba.ts"
import { mamba } from "../../../src/model/arch/mamba.ts"
import { mamba2 } from "../../../src/model/arch/mamba2.ts"
import type { Architecture } from "../../../src/model/architecture.ts"
import { ConfigReader } from "../../../src/model/config.ts"
import { readJsonObject } from "../../../src/model/load/json-file.ts"
import { TempDir } from "./files.ts"

const PURE = { vocab_size: 512, hidden_size: 64, num_hidden_layers: 3, state_size: 16 }
const HYBRID = {
  vocab_size: 512, hidden_size: 64, intermediate_size: 128, num_hidden_layers: 4, num_attention_heads: 4,
  num_key_value_heads: 2, max_position_embeddings: 512,
}
const BAMBA = { ...HYBRID, mamba_n_heads: 8, mamba_d_head: 16, mamba_d_state: 16, attn_layer_indices: [2] }

function read<C>(architecture: Architecture<C>, values: Record<string, unknown>): C {
  const reader = new ConfigReader(values)
  const config = architecture.config(reader)
  reader.assertAllUnderstood()
  return config
}

describe("Mamba", () => {
  test("absent keys have the reference's defaults", () => {
    const config = read(mamba, PURE)
    expect(config).toMatchObject({ innerSize: 128, stepRank: 4, taps: 4, tieWordEmbeddings: true, hasConvBias: true })
    const state = { kind: "state", convSize: 3 * 128, scanSize: 128 * 16 }
    expect(mamba.traits(config) as unknown)
      .toEqual({ vocabSize: 512, maxModelLen: 32_768, memory: [state, state, state] })
  })

  test("a length that is stated counts", () => {
    expect(mamba.traits(read(mamba, { ...PURE, max_position_embeddings: 100_000 })).maxModelLen).toBe(100_000)
  })

  test.each([
    [{ conv_kernel: 9 }, /conv_kernel is 9; it must be at most 8/],
    [{ conv_kernel: 1 }, /conv_kernel is 1; it must be at least 2/],
    [{ state_size: 4096 }, /state_size is 4096; it must be at most 1024/],
    [{ expand: 1e9 }, /expand is 1000000000; it must be at most 1024/],
    [{ hidden_size: 262_144, expand: 1000 }, /expand is 1000; of hidden_size 262144 that makes/],
    [{ hidden_act: "gelu" }, /hidden_act is "gelu"; it must be one of silu, swish/],
  ])("refuses %p", (values, words) => {
    expect(() => read(mamba, { ...PURE, ...values })).toThrow(words)
  })
})

describe("Mamba-2", () => {
  const MAMBA2 = { ...PURE, num_heads: 8, head_dim: 16, n_groups: 2 }

  test("has B and C in its convolution", () => {
    const config = read(mamba2, MAMBA2)
    expect(config).toMatchObject({ stepLimit: [0, Infinity], norm: { numGroups: 2, gateLast: false } })
    expect(mamba2.traits(config).memory[0]).toEqual({ kind: "state", convSize: 3 * (128 + 4 * 16), scanSize: 128 * 16 })
  })

  test.each([
    [{ head_dim: 8 }, /num_heads 8 of head_dim 8 are not the 128 channels/],
    [{ n_groups: 3 }, /num_heads is 8; it must be a multiple of n_groups 3/],
    [{ norm_before_gate: true }, /norm_before_gate is true/],
    [{ time_step_limit: [1] }, /time_step_limit is \[1\]; it must be two numbers/],
    [{ time_step_limit: [2, 1] }, /time_step_limit is \[2, 1\]/],
    [{ time_step_limit: [0, { __float__: "NaN" }] }, /time_step_limit .* must be a list of numbers/],
    [{ time_step_limit: 3 }, /time_step_limit is 3; it must be a list of numbers/],
  ])("refuses %p", (values, words) => {
    expect(() => read(mamba2, { ...MAMBA2, ...values })).toThrow(words)
  })

  test("infinite steps are understood as both generations of files have them", () => {
    using dir = new TempDir()
    const path = join(dir.path, "config.json")
    for (const infinity of ["Infinity", '{"__float__": "Infinity"}']) {
      writeFileSync(path, `{"name": "to Infinity \\" NaN", "time_step_limit": [0.5, ${infinity}]}`)
      const values = readJsonObject(path)!
      expect(values["name"]).toBe('to Infinity " NaN')
      expect(read(mamba2, { ...MAMBA2, ...values }).stepLimit).toEqual([0.5, Infinity])
    }
  })
})

describe("hybrids", () => {
  const kindsOf = <C>(architecture: Architecture<C>, values: Record<string, unknown>) =>
    architecture.traits(read(architecture, values)).memory.map(({ kind }) => kind)

  test("Bamba has attention where it is listed, states elsewhere", () => {
    expect(kindsOf(bamba, BAMBA)).toEqual(["state", "state", "attention", "state"])
    expect(kindsOf(bamba, { ...BAMBA, attn_layer_indices: null })).toEqual(["state", "state", "state", "state"])
    expect(() => read(bamba, { ...BAMBA, attn_layer_indices: [4] })).toThrow(/attn_layer_indices has 4/)
    expect(() => read(bamba, { ...BAMBA, mamba_d_head: 8 })).toThrow(/mamba_n_heads 8 of mamba_d_head 8/)
  })

  test("Jamba has attention and experts every so many layers", () => {
    const values = {
      ...HYBRID, num_experts: 4, num_experts_per_tok: 2, attn_layer_period: 2, attn_layer_offset: 1,
      expert_layer_period: 4, expert_layer_offset: 2,
    }
    expect(kindsOf(jamba, values)).toEqual(["state", "attention", "state", "attention"])
    expect(read(jamba, values).experts.layers).toEqual([false, false, true, false])
    expect(read(jamba, { ...values, num_experts: 1, num_experts_per_tok: 1 }).experts.layers).not.toContain(true)
    expect(() => read(jamba, { ...values, attn_layer_offset: 2 })).toThrow(/attn_layer_offset is 2; .*period is 2/)
  })

  test("Falcon-H1 has both in every layer", () => {
    const values = { ...BAMBA, num_hidden_layers: 2, attn_layer_indices: null, mamba_d_ssm: 128 }
    expect(kindsOf(falconH1, values)).toEqual(["attention", "state", "attention", "state"])
    expect(() => read(falconH1, { ...values, ssm_multipliers: [1, 2] })).toThrow(/ssm_multipliers has 2 values/)
    expect(() => read(falconH1, { ...values, ssm_in_multiplier: 2, mamba_proj_bias: true })).toThrow(/mamba_proj_bias/)
  })
})
