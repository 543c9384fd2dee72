/** Models that cannot be served: the executable ends with one clear line and code 1, and never with a server. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { cpSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync, statSync, chmodSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fixture } from "../fixtures.ts"
import { executable, runToEnd } from "./executable.ts"

const baozi = executable()
const llama = fixture("models/llama")
const gguf = fixture("models/gguf-llama/Q4_1")
const skip = baozi === null || llama === null || gguf === null

let root = ""
beforeAll(() => void (root = mkdtempSync(join(tmpdir(), "baozi-bad-model-"))))
afterAll(() => rmSync(root, { recursive: true }))

type Json = Record<string, unknown>

/** A copy of the llama fixture with one JSON file changed. */
function copyWith(name: string, file: string, change: (json: Json) => void): string {
  const dir = join(root, name)
  cpSync(llama!, dir, { recursive: true })
  const path = join(dir, file)
  const json = JSON.parse(readFileSync(path, "utf8")) as Json
  change(json)
  rmSync(path)
  writeFileSync(path, JSON.stringify(json))
  return dir
}

function refuse(words: readonly string[], message: RegExp): void {
  const command = [baozi!, "serve", ...words, "--port", "0"]
  const { code, stderr, stdout } = runToEnd(command, { cwd: root, env: { HOME: root } })
  expect(stderr).toMatch(message)
  expect(stderr.split("\n").filter((line) => line.startsWith("error:"))).toHaveLength(1)
  expect(stderr).not.toMatch(/^\s+at /m)
  expect({ code, stdout }).toEqual({ code: 1, stdout: "" })
}

describe.skipIf(skip)("a model that cannot be served", () => {
  test("an unknown architecture", () => {
    const dir = copyWith("architecture", "config.json", (config) => {
      config["architectures"] = ["WizardForCausalLM"]
    })
    refuse([dir], /error: .*WizardForCausalLM.*supported: .*LlamaForCausalLM/)
  })

  test("a config key that changes the mathematics", () => {
    const dir = copyWith("key", "config.json", (config) => void (config["final_logit_softcapping"] = 30))
    refuse([dir], /error: .*final_logit_softcapping/)
  })

  test("a shape that the config contradicts", () => {
    const dir = copyWith("shape", "config.json", (config) => void (config["hidden_size"] = 128))
    refuse([dir], /error: .*model\.embed_tokens\.weight is \[512, 64\] in the checkpoint, \[512, 128\] by the config/)
  })

  test("quantized weights, whatever else is wrong", () => {
    const dir = copyWith("awq", "config.json", (config) => {
      config["quantization_config"] = { quant_method: "awq", bits: 4, group_size: 128 }
      config["architectures"] = ["WizardForCausalLM"]
    })
    rmSync(join(dir, "tokenizer.json"))
    refuse([dir], /error: the checkpoint's weights are quantized with AWQ \(4 bits, 128 in a group\)/)
  })

  test("a wrong config is told before a tokenizer that is missing", () => {
    const dir = copyWith("order", "config.json", (config) => void (config["odd"] = 30))
    rmSync(join(dir, "tokenizer.json"))
    refuse([dir], /error: .*odd = 30.*--hf-overrides/)
    refuse([dir, "--hf-overrides", '{"odd": null}'], /error: .*no tokenizer\.json/)
  })

  test("a generation config with a value that no request could be served with", () => {
    const dir = copyWith("generation", "generation_config.json", (config) => {
      config["top_p"] = 1.5
    })
    refuse([dir], /error: generation config: top_p must be in \(0, 1\], got 1\.5\. HINT: --override-generation-config/)
    const override = ["--override-generation-config", '{"temperature": -1}']
    refuse([llama!, ...override], /error: generation config: temperature must be in \[0, 2\], got -1/)
  })

  test("a missing shard", () => {
    const dir = join(root, "shard")
    cpSync(llama!, dir, { recursive: true })
    rmSync(join(dir, "model.safetensors"))
    const index = { weight_map: { "model.embed_tokens.weight": "model-00001-of-00002.safetensors" } }
    writeFileSync(join(dir, "model.safetensors.index.json"), JSON.stringify(index))
    refuse([dir], /error: .*model-00001-of-00002\.safetensors/)
  })

  test("a GGUF file that ends early", () => {
    const path = join(root, "cut.gguf")
    cpSync(join(gguf!, "model.gguf"), path)
    chmodSync(path, 0o600)
    truncateSync(path, Math.floor(statSync(path).size / 2))
    refuse([path], /error: .*cut\.gguf/)
  })

  test("an instruction set that the processor lacks", () => {
    refuse([llama!, "--isa", "neon"], /error: .*neon/)
  })

  test("a shape that the kernels refuse", () => {
    // The weights are those of 4 heads of 16 values.
    const dir = copyWith("heads", "config.json", (config) => {
      Object.assign(config, { head_dim: 4, num_attention_heads: 16, num_key_value_heads: 8 })
    })
    refuse([dir], /error: .*head_dim is 4, must be a multiple of 8 in \[8, 256\]/)
  })

  test.each(["24", "1", "8192"])("blocks of %s tokens", (size) => {
    refuse([llama!, "--block-size", size], /error: --block-size is "\d+", but must be a multiple of 16 from 16 to 4096/)
  })

  test.each(["99999999", "9007199254740991"])("%s KV blocks, more than the kernels can number", (blocks) => {
    refuse([llama!, "--num-gpu-blocks-override", blocks], /error: --num-gpu-blocks-override is \d+.*at most 16777215/)
  })

  test("more memory than there is", () => {
    refuse([llama!, "--kv-cache-memory-bytes", "100000G"], /error: .*--kv-cache-memory-bytes.*available/)
    refuse([llama!, "--kv-cache-memory-bytes", "1K"], /error: .*KV cache/)
    refuse([llama!, "--max-model-len", "4096"], /error: --max-model-len 4096 is more than the 512 positions/)
  })
})
