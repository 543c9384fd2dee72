/** Model files that were damaged, or made to do damage: refused with words, or read within their own bounds. */
import { expect } from "bun:test"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Prng } from "../../src/base/prng.ts"
import { ConfigReader, decoderConfig } from "../../src/model/config.ts"
import type { FileMapping, ModelSource } from "../../src/model/load/checkpoint.ts"
import { openGguf } from "../../src/model/load/gguf.ts"
import { openModel } from "../../src/model/load/open.ts"
import { buildCosSinTable } from "../../src/model/rope.ts"
import { loadTokenizerFromGguf } from "../../src/text/gguf-tokenizer.ts"
import { loadTokenizerFromDirectory } from "../../src/text/load-tokenizer.ts"
import type { Tokenizer } from "../../src/text/tokenizer.ts"
import { spoiled } from "../tools/mutate.ts"
import { fileReader, ggufFile, MemoryFile, safetensorsFile, TINY_LLAMA, type GgufValue } from "../unit/model/files.ts"
import { byteLevelJson, sentencePieceJson } from "../unit/text/tiny.ts"
import { spoiledBytes } from "./spoil-bytes.ts"
import { readOrRefused, type FuzzTarget } from "./target.ts"

const TEXT = "ab a\n  é😀 <s>b</s>\u0000"

const strings = (items: readonly string[]): GgufValue => (
  { type: "array", of: 8, items: items.map((value) => ({ type: "string", value })) }
)
const SPACED = [..."abé \n<>/s"].map((char) => ({ " ": "Ġ", "\n": "Ċ" })[char] ?? char)
const BPE: (readonly [string, GgufValue])[] = [
  ["tokenizer.ggml.model", { type: "string", value: "gpt2" }],
  ["tokenizer.ggml.pre", { type: "string", value: "qwen2" }],
  ["tokenizer.ggml.tokens", strings([...SPACED, "ab", "<s>", "</s>"])],
  ["tokenizer.ggml.token_type", { type: "array", of: 5, items: [...SPACED, "", "", ""].map((_, i) => (
    { type: "i32", value: i > SPACED.length ? 3 : 1 })) }],
  ["tokenizer.ggml.merges", strings(["a b"])],
  ["tokenizer.ggml.bos_token_id", { type: "u32", value: SPACED.length + 1 }],
  ["tokenizer.chat_template", { type: "string", value: "{% for m in messages %}{{ m.content }}{% endfor %}" }],
]
const GGUF = ggufFile({
  metadata: [...TINY_LLAMA.filter(([key]) => !key.startsWith("tokenizer.ggml.tokens")), ...BPE],
  tensors: [
    { name: "token_embd.weight", dims: [32, 8], type: 2, offset: 0 },
    { name: "rope_freqs.weight", dims: [8], type: 0, offset: 160 },
    { name: "output.weight", dims: [256, 1], type: 14, offset: 192 },
  ],
  data: new Uint8Array(192 + 210).fill(1),
})
const GGUF_HEADER_BYTES = GGUF.length - 402

const SAFETENSORS = safetensorsFile({
  __metadata__: { format: "pt" },
  "model.embed_tokens.weight": { dtype: "BF16", shape: [8, 4], data_offsets: [0, 64] },
  "model.norm.weight": { dtype: "F32", shape: [4], data_offsets: [64, 80] },
  "lm_head.weight": { dtype: "F16", shape: [8, 4], data_offsets: [80, 144] },
}, new Uint8Array(144).fill(1))
const SAFETENSORS_HEADER_BYTES = SAFETENSORS.length - 144

const CONFIG = {
  architectures: ["LlamaForCausalLM"], model_type: "llama", vocab_size: 8, hidden_size: 32, intermediate_size: 8,
  num_hidden_layers: 2, num_attention_heads: 2, num_key_value_heads: 1, max_position_embeddings: 64,
  rms_norm_eps: 1e-5, hidden_act: "silu", tie_word_embeddings: false, sliding_window: 16, eos_token_id: [1, 2],
  rope_parameters: { rope_type: "yarn", rope_theta: 1e4, factor: 4, original_max_position_embeddings: 16 },
  torch_dtype: "bfloat16",
}
const TOKENIZERS = [
  byteLevelJson({ merges: [["a", "b"], [" ", "a"]], added: [{ content: "<s>" }, { content: "</s>", lstrip: true }] }),
  sentencePieceJson("ab", [["a", "b"]]),
]

/** Damage where a reader looks: weights may be any bytes. */
function damagedHeader(file: Uint8Array, headerBytes: number, prng: Prng): Uint8Array {
  const header = spoiledBytes(file.subarray(0, headerBytes), prng)
  return prng.chance(0.1) ? header : Uint8Array.from(Buffer.concat([header, file.subarray(headerBytes)]))
}

/** Every tensor lies inside its file, apart from the others. */
async function checkTensors({ checkpoint }: ModelSource, files: readonly FileMapping[]): Promise<void> {
  const spans: [number, number][] = []
  for (const name of checkpoint.names()) {
    const tensor = await readOrRefused(() => checkpoint.get(name))
    if (tensor !== null) spans.push([tensor.address, tensor.address + tensor.bytes])
  }
  spans.sort(([a], [b]) => a - b)
  for (const [i, [start, end]] of spans.entries()) {
    const isInside = files.some(({ address, size }) => start >= address && end <= address + size)
    expect([start <= end, isInside, start >= (spans[i - 1]?.[1] ?? 0)]).toEqual([true, true, true])
  }
}

async function checkConfig(config: Record<string, unknown>): Promise<void> {
  const read = await readOrRefused(() => decoderConfig(new ConfigReader(config)))
  if (read === null) return
  const table = await readOrRefused(() => buildCosSinTable(read.rope, read.headDim, read.rotDim, 8))
  expect(table?.every(Number.isFinite) ?? true).toBe(true)
}

/** Text comes back as ids of the vocabulary, and these as text; ids that nobody has are no text. */
async function checkTokenizer(tokenizer: Tokenizer | null): Promise<void> {
  if (tokenizer === null) return
  const ids = tokenizer.encode(TEXT)
  expect(ids.filter((id) => !(Number.isInteger(id) && id >= 0 && id < tokenizer.vocabSize))).toEqual([])
  expect(typeof tokenizer.decode([...ids, -1, 2 ** 31, tokenizer.vocabSize])).toBe("string")
}

const gguf: FuzzTarget = {
  name: "gguf",
  async run(prng) {
    const file = new MemoryFile(damagedHeader(GGUF, GGUF_HEADER_BYTES, prng))
    const source = await readOrRefused(() => openGguf("m.gguf", () => file))
    expect(file.isMapped).toBe(source !== null)
    if (source === null) return
    await checkTensors(source, [file])
    await checkConfig(source.config)
    await checkTokenizer(await readOrRefused(() => loadTokenizerFromGguf(source.ggufMetadata!)))
  },
}

const safetensors: FuzzTarget = {
  name: "safetensors",
  run: (prng) => inDirectory(async (dir) => {
    writeFileSync(join(dir, "model.safetensors"), damagedHeader(SAFETENSORS, SAFETENSORS_HEADER_BYTES, prng))
    writeFileSync(join(dir, "config.json"), "{}")
    const { mapFile, mapped } = fileReader()
    const source = await readOrRefused(() => openModel(dir, mapFile))
    if (source !== null) await checkTensors(source, mapped)
    source?.checkpoint.close()
    expect(mapped.filter(({ isMapped }) => isMapped)).toEqual([])
  }),
}

const config: FuzzTarget = {
  name: "config.json",
  run: (prng) => inDirectory(async (dir) => {
    writeFileSync(join(dir, "model.safetensors"), SAFETENSORS)
    writeFileSync(join(dir, "config.json"), spoiled(CONFIG, () => prng.float()))
    const source = await readOrRefused(() => openModel(dir, fileReader().mapFile))
    if (source !== null) await checkConfig(source.config)
  }),
}

const tokenizer: FuzzTarget = {
  name: "tokenizer.json",
  run: (prng) => inDirectory(async (dir) => {
    const text = spoiled(prng.pick(TOKENIZERS), () => prng.float())
    const bytes = prng.chance(0.5) ? new TextEncoder().encode(text) : spoiledBytes(new TextEncoder().encode(text), prng)
    writeFileSync(join(dir, "tokenizer.json"), bytes)
    await checkTokenizer(await readOrRefused(() => loadTokenizerFromDirectory(dir)))
  }),
}

async function inDirectory(use: (dir: string) => Promise<void>): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), "baozi-fuzz-"))
  try {
    await use(dir)
  } finally {
    rmSync(dir, { recursive: true })
  }
}

export const MODEL_FILE_TARGETS: readonly FuzzTarget[] = [gguf, safetensors, config, tokenizer]
