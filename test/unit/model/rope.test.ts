import { describe, expect, test } from "bun:test"
import { ConfigReader } from "../../../src/model/config.ts"
import { readRopeConfig } from "../../../src/model/rope-config.ts"
import { buildCosSinTable, ropeFrequencies, type RopeConfig } from "../../../src/model/rope.ts"
import vectors from "./rope-vectors.json"

// What torch computes with its vectorized float32 `pow` may be one unit in the last place from the nearest float32.
const ULP = 2 ** -23

function ropeOf(config: Record<string, unknown>): RopeConfig {
  const reader = new ConfigReader(config)
  const headDim = reader.int("head_dim", {})
  return readRopeConfig(reader, headDim, reader.int("max_position_embeddings", {}))
}

describe(`rotary tables equal those of ${vectors.source}`, () => {
  for (const row of vectors.cases) {
    const rope = ropeOf(row.config)
    test(`frequencies: ${row.name}`, () => {
      const { invFreq, attentionScaling } = ropeFrequencies(rope, row.served)
      expect(attentionScaling).toBeCloseTo(row.attention_scaling, 12)
      expect(invFreq.length).toBe(row.inv_freq.length)
      invFreq.forEach((value, i) => {
        expect(Math.abs(value / row.inv_freq[i]! - 1)).toBeLessThanOrEqual(2 * ULP)
      })
    })

    test(`cosines and sines: ${row.name}`, () => {
      const half = rope.rotDim / 2
      const table = buildCosSinTable(rope, row.config.head_dim, rope.rotDim, row.served)
      expect(table.length).toBe(row.served * rope.rotDim)
      row.positions.forEach((position, p) => {
        for (let i = 0; i < half; i++) {
          // The phase carries the frequency's relative error and its own rounding; the scale is at most 1.5 here.
          const tolerance = 1.5 * (1e-6 + 3 * ULP * position * row.inv_freq[i]!)
          expect(Math.abs(table[position * rope.rotDim + i]! - row.cos[p]![i]!)).toBeLessThanOrEqual(tolerance)
          expect(Math.abs(table[position * rope.rotDim + half + i]! - row.sin[p]![i]!)).toBeLessThanOrEqual(tolerance)
        }
      })
    })
  }
})

describe("a table's layout", () => {
  const rope = ropeOf({ head_dim: 4, max_position_embeddings: 8, rope_theta: 100 })

  test("is cosines, then sines, a position", () => {
    const row = Array.from(buildCosSinTable(rope, 4, 4, 3).subarray(8, 12))
    expect(row).toEqual(
      [Math.cos(2), Math.cos(0.2), Math.sin(2), Math.sin(0.2)].map((x) => expect.closeTo(x, 6) as unknown as number),
    )
  })

  test("divides frequencies by a GGUF file's factors", () => {
    const scaled = ropeOf({
      head_dim: 4,
      max_position_embeddings: 8,
      rope_parameters: { rope_theta: 100, rope_type: "factors", factors: [1, 8] },
    })
    expect(Array.from(ropeFrequencies(scaled, 8).invFreq)).toEqual([1, Math.fround(1 / 80)])
  })

  test("llama3's frequencies are those of the factors that converters store for it", () => {
    const row = vectors.cases.find(({ name }) => name === "llama 3.2")!
    const plain = ropeFrequencies(
      ropeOf({ ...row.config, rope_parameters: { rope_type: "default", rope_theta: 500_000 } }),
      64,
    )
    const factors = row.inv_freq.map((value, i) => Math.fround(plain.invFreq[i]! / value))
    const converted = ropeFrequencies(
      ropeOf({ ...row.config, rope_parameters: { rope_type: "factors", rope_theta: 500_000, factors } }),
      64,
    )
    converted.invFreq.forEach((value, i) => expect(Math.abs(value / row.inv_freq[i]! - 1)).toBeLessThanOrEqual(3 * ULP))
  })
})
