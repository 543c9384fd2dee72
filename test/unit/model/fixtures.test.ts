import { describe, expect, test } from "bun:test"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { findArchitecture } from "../../../src/model/arch/index.ts"
import { ConfigReader, decoderConfig, type ModelConfig } from "../../../src/model/config.ts"
import type { ModelSource } from "../../../src/model/load/checkpoint.ts"
import { openGguf } from "../../../src/model/load/gguf.ts"
import { openModel } from "../../../src/model/load/open.ts"
import { WeightMap } from "../../../src/model/weights.ts"
import { fixture } from "../../fixtures.ts"
import { fileReader, MemoryFile } from "./files.ts"

function configOf(values: Record<string, unknown>): ModelConfig {
  const reader = new ConfigReader(values)
  const config = decoderConfig(reader)
  reader.assertAllUnderstood()
  return config
}

/** The architecture asks for every tensor, with the shapes of the config, and leaves none. */
function readAll(source: ModelSource): WeightMap {
  const map = new WeightMap(source.checkpoint)
  findArchitecture(source.config).model(map, configOf(source.config))
  map.assertAllRead()
  return map
}

describe("safetensors fixtures", () => {
  for (const name of [
    "llama",
    "llama31-rope",
    "llama-yarn",
    "llama-hd64",
    "llama-long",
    "mistral-window",
    "qwen2",
    "qwen3",
    "qwen3-hd128",
  ]) {
    const path = fixture(`models/${name}`)
    if (path === null) continue
    test(name, () => {
      const source = openModel(path, fileReader().mapFile)
      expect(source.kind).toBe("safetensors")
      const map = readAll(source)
      const config = configOf(source.config)
      expect(map.linears.length).toBe(4 * config.numLayers + (config.tieWordEmbeddings ? 1 : 2))
      expect(config.windows).toEqual(Array(3).fill(name === "mistral-window" ? 32 : 0))
      expect(config.eosTokenIds).toEqual([2])
    })
  }
})

describe("GGUF fixtures mean what the config.json of the same model says", () => {
  for (const family of ["gguf-llama", "gguf-qwen2", "gguf-k-llama"]) {
    const path = fixture(`models/${family}`)
    if (path === null) continue
    for (const format of readdirSync(path))
      test(`${family}/${format}`, () => {
        const source = openModel(join(path, format), fileReader().mapFile)
        const stated = JSON.parse(readFileSync(join(path, format, "config.json"), "utf8")) as Record<string, unknown>
        const architectures = [family === "gguf-qwen2" ? "Qwen2ForCausalLM" : "LlamaForCausalLM"]
        expect(configOf(source.config)).toEqual({ ...configOf({ ...stated, architectures }), torchDtype: null })
        expect(source.ropeInterleaved).toBe(family !== "gguf-qwen2")
        const map = readAll(source)
        const dtypes = new Set(map.linears.flatMap((linear) => linear.tensors.map((tensor) => tensor.dtype)))
        // Mixed formats (Q3_K_M ...) have their main type and better ones.
        expect([...dtypes]).toContain(format.replace(/(_K)_[SM]$/, "$1") as "Q4_K")
      })
  }
})

const quantized = fixture("models/gguf-llama/Q4_1/model.gguf")
if (quantized !== null)
  test("a fixture that lacks its last byte is an error", () => {
    const file = new MemoryFile(new Uint8Array(readFileSync(quantized)).subarray(0, -1))
    expect(() => openGguf(quantized, () => file)).toThrow(/model.gguf is truncated: tensor output.weight ends at byte/)
  })
