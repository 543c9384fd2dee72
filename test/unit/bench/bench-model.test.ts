import { afterAll, expect, test } from "bun:test"
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { writeShape, type Shape } from "../../bench/bench-model.ts"
import { openModel } from "../../../src/model/load/open.ts"
import { loadTokenizerFromDirectory } from "../../../src/text/load-tokenizer.ts"
import { loadTokenizerFromGguf } from "../../../src/text/gguf-tokenizer.ts"
import { fileReader } from "../model/files.ts"

const root = mkdtempSync(join(tmpdir(), "baozi-bench-model-"))
afterAll(() => rmSync(root, { recursive: true }))

const TINY: Shape = {
  arch: "llama", className: "LlamaForCausalLM", hidden: 32, inner: 64, layers: 1, heads: 2, kvHeads: 1, headDim: 16,
  vocab: 300, theta: 1000, context: 64,
}

test.each(["llama", "qwen2"] as const)("a bench model of %s is one model in two layouts", async (arch) => {
  const gguf = writeShape(root, arch, { ...TINY, arch })
  const { mapFile } = fileReader()
  const [a, b] = [openModel(join(root, arch), mapFile), openModel(gguf, mapFile)]
  const shapes = (model: typeof a) =>
    model.checkpoint.names().map((name) => `${name} ${model.checkpoint.get(name)!.shape.join("x")}`).toSorted()
  expect(shapes(b)).toEqual(shapes(a))
  for (const key of ["hidden_size", "num_attention_heads", "num_key_value_heads", "vocab_size"])
    expect(b.config[key]).toEqual(a.config[key])
  const text = "Hi, the sun"
  const ids = (await loadTokenizerFromDirectory(join(root, arch))).encode(text)
  expect((await loadTokenizerFromGguf(b.ggufMetadata!)).encode(text)).toEqual(ids)
  expect(ids.length).toBe(text.length - 1)
})

test("a bench model is written once, and again where it has become another", () => {
  const gguf = writeShape(root, "twice", TINY)
  const derived = gguf.replace("BF16", "Q8_0")
  writeFileSync(derived, "made of it")
  const written = statSync(gguf).mtimeMs
  expect(writeShape(root, "twice", TINY)).toBe(gguf)
  expect([statSync(gguf).mtimeMs, existsSync(derived)]).toEqual([written, true])
  writeShape(root, "twice", { ...TINY, context: 128 })
  expect(existsSync(derived)).toBe(false)
  expect(openModel(gguf, fileReader().mapFile).config["max_position_embeddings"]).toBe(128)
})
