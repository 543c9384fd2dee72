import { describe, expect, test } from "bun:test"
import { ptr } from "bun:ffi"
import { decoderConfig, ConfigReader } from "../../../src/model/config.ts"
import { lmHead } from "../../../src/model/blocks.ts"
import type { Checkpoint, CheckpointTensor } from "../../../src/model/load/checkpoint.ts"
import type { DType } from "../../../src/model/load/dtype.ts"
import { isSameTensor } from "../../../src/model/load/same-tensor.ts"
import { WeightMap } from "../../../src/model/weights.ts"

const EMBEDDING = "model.embed_tokens.weight"
const [V, E] = [8, 4]
// Views of the tensors' bytes, so that they outlive the tensors.
const kept: Float32Array[] = []
const released: string[] = []

function tensor(name: string, values: (i: number) => number, dtype: DType = "F32", shape = [V, E]): CheckpointTensor {
  const data = Float32Array.from({ length: V * E }, (_, i) => values(i))
  kept.push(data)
  return { name, dtype, shape, address: ptr(data), bytes: data.byteLength, release: () => void released.push(name) }
}

function checkpoint(...tensors: CheckpointTensor[]): Checkpoint {
  const named = new Map(tensors.map((each) => [each.name, each]))
  return { totalBytes: 0, names: () => [...named.keys()], get: (name) => named.get(name) ?? null, close: () => {} }
}

function headOf(isTied: boolean, ...tensors: CheckpointTensor[]) {
  const map = new WeightMap(checkpoint(tensor(EMBEDDING, (i) => i), ...tensors))
  const config = decoderConfig(new ConfigReader({
    vocab_size: V, hidden_size: E, intermediate_size: 4, num_hidden_layers: 1, num_attention_heads: 1,
    max_position_embeddings: 8, tie_word_embeddings: isTied,
  }))
  const embed = map.vocabulary("model.embed_tokens", V, E)
  const head = lmHead(map, config, embed)
  map.assertAllRead()
  return { head: head === embed ? "the embedding's" : head.name, warnings: map.warnings }
}

describe("the output head of a model whose config ties it to the embedding", () => {
  const none = { head: "the embedding's", warnings: [] }
  test("is the embedding's", () => expect(headOf(true)).toEqual(none))

  test("is the embedding's where the checkpoint stores a copy of it, which is not read again", () => {
    expect(headOf(true, tensor("lm_head.weight", (i) => i))).toEqual(none)
    expect(released).toEqual(["lm_head.weight"])
  })

  test("is the stored one where that differs, even in one value, and this is said", () => {
    const { head, warnings } = headOf(true, tensor("lm_head.weight", (i) => (i === V * E - 1 ? -1 : i)))
    expect(head).toBe("lm_head")
    expect(warnings).toHaveLength(1)
    expect(warnings[0]).toContain("lm_head.weight that differs from it: the stored one is used")
  })

  test("is the embedding's where the stored one has another shape, and this is said", () => {
    const { head, warnings } = headOf(true, tensor("lm_head.weight", (i) => i, "F32", [V / 2, 2 * E]))
    expect(head).toBe("the embedding's")
    expect(warnings).toEqual([expect.stringContaining("a lm_head.weight of [4, 8]: it is left out")])
  })

  test("is the stored one where the config ties nothing", () => {
    expect(headOf(false, tensor("lm_head.weight", (i) => i))).toEqual({ head: "lm_head", warnings: [] })
    expect(() => headOf(false)).toThrow("no tensor lm_head.weight")
  })
})

test("tensors are the same in type, shape and bytes", () => {
  const a = tensor("a", (i) => i)
  expect(isSameTensor(a, tensor("b", (i) => i))).toBe(true)
  expect(isSameTensor(a, tensor("b", (i) => i + 1))).toBe(false)
  expect(isSameTensor(a, tensor("b", (i) => i, "BF16"))).toBe(false)
  expect(isSameTensor(a, tensor("b", (i) => i, "F32", [E, V]))).toBe(false)
})
