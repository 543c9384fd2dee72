import { expect, test } from "bun:test"
import { gemma2 } from "../../../src/model/arch/gemma2.ts"
import { ConfigReader } from "../../../src/model/config.ts"

const PLAIN = {
  vocab_size: 512, hidden_size: 3584, intermediate_size: 128, num_hidden_layers: 4, num_attention_heads: 4,
  num_key_value_heads: 2, max_position_embeddings: 512,
}

function read(values: Record<string, unknown> = {}) {
  const reader = new ConfigReader({ ...PLAIN, ...values })
  const config = gemma2.config(reader)
  reader.assertAllUnderstood()
  return config as ReturnType<typeof gemma2.config> & Record<string, unknown>
}

test("absent keys have the reference's defaults", () => {
  expect(read()).toMatchObject({
    headDim: 256, scale: 1 / 16, attentionCap: 50, logitCap: 30, windows: [4096, 0, 4096, 0], hiddenAct: "gelu_tanh",
    tieWordEmbeddings: true,
  })
})

test("caps and windows that are null are none", () => {
  expect(read({ attn_logit_softcapping: null, final_logit_softcapping: null, sliding_window: null }))
    .toMatchObject({ attentionCap: 0, logitCap: 0, windows: [0, 0, 0, 0] })
})

test("hidden_activation counts, whatever hidden_act says", () => {
  expect(read({ hidden_act: "silu", hidden_activation: "gelu" }).hiddenAct).toBe("gelu")
  expect(() => read({ hidden_activation: "mish" })).toThrow(/hidden_activation is "mish"; it must be one of/)
})

test("layer_types say which layers have the window", () => {
  const layer_types = ["full_attention", "full_attention", "sliding_attention", "full_attention"]
  expect(read({ layer_types, sliding_window: 32 }).windows).toEqual([0, 0, 32, 0])
  expect(() => read({ layer_types: ["full_attention"] })).toThrow(/layer_types has 1 entries/)
})

test("the scale of embeddings is rounded to the weights' type", () => {
  expect(read({ dtype: "bfloat16" })["embeddingScale"]).toBe(59.75) // of 59.867
  expect(read({ dtype: "float16" })["embeddingScale"]).toBe(59.875)
  expect(read({ dtype: "float32" })["embeddingScale"]).toBe(Math.fround(Math.sqrt(3584)))
})

test("a cap that is no cap is an error", () => {
  expect(() => read({ final_logit_softcapping: -1 })).toThrow(/final_logit_softcapping is -1; it must be at least/)
  expect(() => read({ attn_logit_softcapping: "50" })).toThrow(/attn_logit_softcapping is "50"; it must be a number/)
})
