import { describe, expect, test } from "bun:test"
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { ConfigError } from "../../../src/base/errors.ts"
import { openModel } from "../../../src/model/load/open.ts"
import { fileReader, safetensorsFile, TempDir, tinyLlama } from "./files.ts"

const WEIGHTS = safetensorsFile({ w: { dtype: "F32", shape: [1], data_offsets: [0, 4] } }, new Uint8Array(4))

const LFS_POINTER = `version https://git-lfs.github.com/spec/v1\noid sha256:${"0".repeat(64)}\nsize 538090408\n`

function openIn(files: Readonly<Record<string, Uint8Array | string>>, name = "") {
  using dir = new TempDir()
  for (const [file, content] of Object.entries(files)) writeFileSync(join(dir.path, file), content)
  return openModel(name === "" ? dir.path : join(dir.path, name), fileReader().mapFile)
}

test("a Hugging Face directory", () => {
  const source = openIn({
    "model.safetensors": WEIGHTS, "config.json": '{"model_type":"llama"}', "generation_config.json": '{"top_k":5}',
  })
  expect(source).toMatchObject({
    kind: "safetensors",
    config: { model_type: "llama" },
    generationConfig: { top_k: 5 },
    ropeInterleaved: false,
    ggufMetadata: null,
  })
  expect(source.checkpoint.names()).toEqual(["w"])
})

test("no generation_config.json is an empty one", () => {
  expect(openIn({ "model.safetensors": WEIGHTS, "config.json": "{}" }).generationConfig).toEqual({})
})

describe("a GGUF file, whatever its name, and a directory that holds one", () => {
  const blob = `sha256-${"0".repeat(64)}`
  const rows = ["m.gguf", "M.GGUF", blob].flatMap((file) => [[file, file], [file, ""]] as const)
  for (const [file, name] of rows) test(name || `directory of ${file}`, () => {
    // A config.json beside a GGUF file describes another file: it is not read.
    const source = openIn({ [file]: tinyLlama(), "config.json": '{"model_type":"other"}', other: "text" }, name)
    expect(source.kind).toBe("gguf")
    expect(source.path).toEndWith(file)
    expect(source.config["model_type"]).toBe("llama")
    expect(source.ggufMetadata?.get("tokenizer.ggml.eos_token_id")).toBe(3)
  })
})

describe("a checkpoint that a quantizer made says by which method", () => {
  const gptq = '{"bits": 4, "group_size": 128, "desc_act": false}'
  test("in a file beside config.json", () => {
    for (const name of ["quantize_config.json", "quant_config.json"]) {
      const source = openIn({ "model.safetensors": WEIGHTS, "config.json": '{"model_type":"llama"}', [name]: gptq })
      expect(source.config["quantization_config"]).toEqual(JSON.parse(gptq))
    }
  })

  test("config.json comes first", () => {
    const config = '{"quantization_config": {"quant_method": "awq"}}'
    const source = openIn({ "model.safetensors": WEIGHTS, "config.json": config, "quantize_config.json": gptq })
    expect(source.config["quantization_config"]).toEqual({ quant_method: "awq" })
  })

  test("even when its weights have a name of their own", () => {
    const files = { "gptq_model-4bit-128g.safetensors": WEIGHTS, "config.json": "{}", "quantize_config.json": gptq }
    expect(() => openIn(files)).toThrow(/quantized with GPTQ \(4 bits, 128 in a group\)/)
  })
})

describe("what is no model is an error that says why", () => {
  const rows: [name: string, files: Record<string, Uint8Array | string>, path: string, message: RegExp][] = [
    ["nothing there", {}, "absent", /absent does not exist/],
    ["empty directory", {}, "", /holds no weights: no model.safetensors/],
    ["other file", { "m.txt": "" }, "m.txt", /neither a directory nor a GGUF file/],
    ["weights alone", { "model.safetensors": WEIGHTS }, "model.safetensors", /give the directory/],
    ["no config", { "model.safetensors": WEIGHTS }, "", /config.json is missing/],
    [
      "config is no JSON",
      { "model.safetensors": WEIGHTS, "config.json": "{" },
      "",
      /config.json cannot be read as JSON/,
    ],
    [
      "config is a list",
      { "model.safetensors": WEIGHTS, "config.json": "[]" },
      "",
      /config.json does not hold a JSON object/,
    ],
    [
      "shards without index",
      { "model-00001-of-00002.safetensors": WEIGHTS, "config.json": "{}" },
      "",
      /no index that says what it holds/,
    ],
    ["LoRA adapter", { "adapter_config.json": "{}", "adapter_model.safetensors": WEIGHTS }, "", /it is a LoRA adapter/],
    [
      "clone without its large files",
      { "model.safetensors": LFS_POINTER, "config.json": "{}" },
      "",
      /model.safetensors is a Git LFS pointer/,
    ],
    ["GGUF of a clone without its large files", { "m.gguf": LFS_POINTER }, "", /m.gguf is a Git LFS pointer/],
    ["its config", { "model.safetensors": WEIGHTS, "config.json": LFS_POINTER }, "", /config.json is a Git LFS/],
    ["PyTorch", { "pytorch_model.bin": "" }, "", /pytorch_model.bin is in PyTorch's format/],
    ["two GGUF models", { "a.gguf": "", "b.gguf": "" }, "", /holds 2 GGUF models; give one of them: a.gguf, b.gguf/],
    ["GGUF in name only", { "a.gguf": "hello" }, "", /a.gguf is not a GGUF file/],
    ["empty GGUF", { "a.gguf": "" }, "a.gguf", /a.gguf is not a GGUF file/],
  ]
  for (const [name, files, path, message] of rows)
    test(name, () => {
      expect(() => openIn(files, path)).toThrow(ConfigError)
      expect(() => openIn(files, path)).toThrow(message)
    })

  test("a directory where config.json should be", () => {
    using dir = new TempDir()
    writeFileSync(join(dir.path, "model.safetensors"), WEIGHTS)
    mkdirSync(join(dir.path, "config.json"))
    expect(() => openModel(dir.path, fileReader().mapFile)).toThrow(/config.json is not a file/)
  })
})
