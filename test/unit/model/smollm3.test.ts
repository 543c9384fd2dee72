import { expect, test } from "bun:test"
import { smollm3 } from "../../../src/model/arch/smollm3.ts"
import { ConfigReader } from "../../../src/model/config.ts"

function rotates(values: Record<string, unknown>): unknown {
  const config = smollm3.config(new ConfigReader({
    vocab_size: 512, hidden_size: 64, intermediate_size: 128, num_hidden_layers: 6, num_attention_heads: 4,
    max_position_embeddings: 512, ...values,
  }))
  return (config as { rotates?: unknown }).rotates
}

test("every fourth layer has no positions, or every n-th, or those that are listed with 0", () => {
  expect(rotates({})).toEqual([true, true, true, false, true, true])
  expect(rotates({ no_rope_layer_interval: 2 })).toEqual([true, false, true, false, true, false])
  expect(rotates({ no_rope_layers: [0, 1, 1, 1, 1, 0] })).toEqual([false, true, true, true, true, false])
})

test("what cannot be meant is an error", () => {
  expect(() => rotates({ no_rope_layers: [1, 0] })).toThrow(/no_rope_layers has 2 entries, num_hidden_layers is 6/)
  expect(() => rotates({ no_rope_layers: [1, 2] })).toThrow(/no_rope_layers is \[1,2\]; it must be at most 1/)
  expect(() => rotates({ use_sliding_window: true })).toThrow(/use_sliding_window is true/)
})
