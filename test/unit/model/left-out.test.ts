import { expect, test } from "bun:test"
import type { Checkpoint } from "../../../src/model/load/checkpoint.ts"
import { WeightMap } from "../../../src/model/weights.ts"

test("tensors that are left out need no reader, all others do", () => {
  const names = ["model.layers.4.mlp.weight", "model.layers.40.mlp.weight"]
  const checkpoint: Checkpoint = { totalBytes: 0, names: () => names, get: () => null, close: () => {} }
  const map = new WeightMap(checkpoint)
  expect(() => map.assertAllRead()).toThrow("2 tensors that this architecture does not read")
  map.leaveOut((name) => name.startsWith("model.layers.4."))
  expect(() => map.assertAllRead()).toThrow(/1 tensors that this architecture does not read: model\.layers\.40\.mlp/)
  map.leaveOut((name) => name.startsWith("model.layers.40."))
  expect(() => map.assertAllRead()).not.toThrow()
})
