/**
 * Writes models with the shapes of released ones and random weights, for measuring speed: it depends on shapes and
 * formats, not on what the weights say. The same weights twice, so that two engines can be measured on the same work:
 *
 *     DIR/<shape>/                     Hugging Face layout: config.json, model.safetensors (bfloat16), tokenizer.json
 *     DIR/<shape>/<shape>-BF16.gguf    GGUF, for llama-quantize to make the other formats of
 *
 *     bun test/bench/bench-model.ts DIR smollm2-135m qwen2.5-0.5b
 */
import {
  closeSync, existsSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeFileSync, writeSync,
} from "node:fs"
import { join } from "node:path"
import { Prng } from "../../src/base/prng.ts"
import { byteToChar } from "../../src/text/byte-level.ts"

export interface Shape {
  readonly arch: "llama" | "qwen2"
  readonly className: string
  readonly hidden: number
  readonly inner: number
  readonly layers: number
  readonly heads: number
  readonly kvHeads: number
  readonly headDim: number
  readonly vocab: number
  readonly theta: number
  readonly context: number
}

/** Positions: more than the released models have, for measuring long contexts. They cost nothing while unused. */
const CONTEXT = 65_536

export const SHAPES: Readonly<Record<string, Shape>> = {
  "smollm2-135m": {
    arch: "llama", className: "LlamaForCausalLM", hidden: 576, inner: 1536, layers: 30, heads: 9, kvHeads: 3,
    headDim: 64, vocab: 49152, theta: 100_000, context: CONTEXT,
  },
  "qwen2.5-0.5b": {
    arch: "qwen2", className: "Qwen2ForCausalLM", hidden: 896, inner: 4864, layers: 24, heads: 14, kvHeads: 2,
    headDim: 64, vocab: 151_936, theta: 1_000_000, context: CONTEXT,
  },
}

interface Tensor {
  readonly name: string
  readonly ggufName: string
  readonly rows: number
  /** 0: a vector of `rows` values. */
  readonly cols: number
  /** Of the normal distribution of a matrix's values; of a vector the value itself. */
  readonly scale: number
  /** Heads whose halves GGUF interleaves, as llama's rotary embedding wants them there; 0: none. */
  readonly interleavedHeads: number
}

function tensorsOf(s: Shape): Tensor[] {
  const matrix = (name: string, ggufName: string, rows: number, cols: number, interleavedHeads = 0): Tensor =>
    ({ name, ggufName, rows, cols, scale: 1 / Math.sqrt(cols), interleavedHeads })
  const vector = (name: string, ggufName: string, rows: number, scale: number): Tensor =>
    ({ name, ggufName, rows, cols: 0, scale, interleavedHeads: 0 })
  const isLlama = s.arch === "llama"
  const tensors = [{ ...matrix("model.embed_tokens.weight", "token_embd.weight", s.vocab, s.hidden), scale: 0.02 }]
  for (let l = 0; l < s.layers; l++) {
    const [p, g] = [`model.layers.${l}`, `blk.${l}`]
    tensors.push(vector(`${p}.input_layernorm.weight`, `${g}.attn_norm.weight`, s.hidden, 1))
    for (const [letter, heads] of [["q", s.heads], ["k", s.kvHeads], ["v", s.kvHeads]] as const) {
      const interleaved = isLlama && letter !== "v" ? heads : 0
      const rows = heads * s.headDim
      const [name, ggufName] = [`${p}.self_attn.${letter}_proj`, `${g}.attn_${letter}`]
      tensors.push(matrix(`${name}.weight`, `${ggufName}.weight`, rows, s.hidden, interleaved))
      if (!isLlama) tensors.push(vector(`${name}.bias`, `${ggufName}.bias`, rows, 0))
    }
    tensors.push(
      matrix(`${p}.self_attn.o_proj.weight`, `${g}.attn_output.weight`, s.hidden, s.heads * s.headDim),
      vector(`${p}.post_attention_layernorm.weight`, `${g}.ffn_norm.weight`, s.hidden, 1),
      matrix(`${p}.mlp.gate_proj.weight`, `${g}.ffn_gate.weight`, s.inner, s.hidden),
      matrix(`${p}.mlp.up_proj.weight`, `${g}.ffn_up.weight`, s.inner, s.hidden),
      matrix(`${p}.mlp.down_proj.weight`, `${g}.ffn_down.weight`, s.hidden, s.inner),
    )
  }
  return [...tensors, vector("model.norm.weight", "output_norm.weight", s.hidden, 1)]
}

// Values are drawn from a table of normal ones: enough of them for what quantizes, and fast.
const NUM_NORMALS = 65_536

function drawBits(prng: Prng): (tensor: Tensor) => Uint16Array {
  const normals = new Float32Array(NUM_NORMALS)
  for (let i = 0; i < NUM_NORMALS; i++)
    normals[i] = Math.sqrt(-2 * Math.log(1 - prng.float())) * Math.cos(2 * Math.PI * prng.float())
  return ({ rows, cols, scale }) => {
    const values = new Float32Array(rows * Math.max(1, cols))
    if (cols === 0) values.fill(scale)
    for (let i = 0; cols > 0 && i < values.length; i += 2) {
      const bits = prng.uint32()
      values[i] = normals[bits & 0xffff]! * scale
      if (i + 1 < values.length) values[i + 1] = normals[bits >>> 16]! * scale
    }
    const words = new Uint32Array(values.buffer)
    return Uint16Array.from(words, (word) => (word + 0x7fff + ((word >>> 16) & 1)) >>> 16)
  }
}

function interleave(bits: Uint16Array, { rows, cols, interleavedHeads }: Tensor): Uint16Array {
  if (interleavedHeads === 0) return bits
  const out = new Uint16Array(bits.length)
  const half = rows / interleavedHeads / 2
  for (let head = 0; head < interleavedHeads; head++)
    for (let part = 0; part < 2; part++)
      for (let i = 0; i < half; i++) {
        const from = (head * 2 + part) * half + i
        const to = head * 2 * half + i * 2 + part
        out.set(bits.subarray(from * cols, (from + 1) * cols), to * cols)
      }
  return out
}

function widen(bits: Uint16Array): Float32Array {
  return new Float32Array(Uint32Array.from(bits, (word) => word << 16).buffer)
}

// llama.cpp wants a merge to be there.
const [MERGE, MERGED] = ["Ġ t", "Ġt"]
const SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
const TEMPLATE =
  "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}" +
  "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"

/** A byte-level vocabulary: markers, 256 bytes, one pair, and fillers that no text reaches. */
function vocabulary(size: number): string[] {
  const tokens = [...SPECIAL, ...Array.from({ length: 256 }, (_, byte) => byteToChar(byte)).toSorted(), MERGED]
  while (tokens.length < size) tokens.push(`Ġt${tokens.length}`)
  return tokens
}

function modelConfig(s: Shape): string {
  return JSON.stringify({
    architectures: [s.className], model_type: s.arch, hidden_size: s.hidden, intermediate_size: s.inner,
    num_hidden_layers: s.layers, num_attention_heads: s.heads, num_key_value_heads: s.kvHeads, head_dim: s.headDim,
    vocab_size: s.vocab, max_position_embeddings: s.context, rope_theta: s.theta, rms_norm_eps: 1e-5,
    hidden_act: "silu", tie_word_embeddings: true, torch_dtype: "bfloat16", bos_token_id: 0, eos_token_id: 2,
  })
}

function writeConfigs(directory: string, s: Shape): void {
  const json = (name: string, value: unknown) => writeFileSync(join(directory, name), JSON.stringify(value))
  writeFileSync(join(directory, "config.json"), modelConfig(s))
  json("tokenizer_config.json", {
    tokenizer_class: "PreTrainedTokenizerFast", bos_token: SPECIAL[0], eos_token: SPECIAL[2], chat_template: TEMPLATE,
    model_max_length: s.context,
  })
  const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true }
  json("tokenizer.json", {
    version: "1.0", truncation: null, padding: null, normalizer: null, pre_tokenizer: byteLevel, post_processor: null,
    decoder: byteLevel,
    added_tokens: SPECIAL.map((content, id) => ({
      id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true,
    })),
    model: {
      type: "BPE", dropout: null, unk_token: null, continuing_subword_prefix: null, end_of_word_suffix: null,
      fuse_unk: false, byte_fallback: false, merges: [MERGE],
      vocab: Object.fromEntries(vocabulary(s.vocab).map((token, id) => [token, id])),
    },
  })
}

function safetensorsHeader(tensors: readonly Tensor[]): Uint8Array {
  let at = 0
  const entries: Record<string, unknown> = { __metadata__: { format: "pt" } }
  for (const { name, rows, cols } of tensors) {
    const bytes = rows * Math.max(1, cols) * 2
    entries[name] = { dtype: "BF16", shape: cols === 0 ? [rows] : [rows, cols], data_offsets: [at, at + bytes] }
    at += bytes
  }
  const text = new TextEncoder().encode(JSON.stringify(entries))
  const header = new Uint8Array(8 + Math.ceil(text.length / 8) * 8).fill(32)
  new DataView(header.buffer).setBigUint64(0, BigInt(header.length - 8), true)
  header.set(text, 8)
  return header
}

const GGUF = { u32: 4, i32: 5, f32: 6, bool: 7, string: 8, array: 9 } as const
const GGUF_F32 = 0
const GGUF_BF16 = 30
const ALIGN = 32

class GgufHeader {
  readonly #parts: Uint8Array[] = []

  number(type: "u32" | "i32" | "f32", value: number): this {
    const bytes = new DataView(new ArrayBuffer(4))
    if (type === "f32") bytes.setFloat32(0, value, true)
    else bytes.setUint32(0, value >>> 0, true)
    return this.#push(new Uint8Array(bytes.buffer))
  }

  u64(value: number): this {
    const bytes = new DataView(new ArrayBuffer(8))
    bytes.setBigUint64(0, BigInt(value), true)
    return this.#push(new Uint8Array(bytes.buffer))
  }

  string(text: string): this {
    const bytes = new TextEncoder().encode(text)
    return this.u64(bytes.length).#push(bytes)
  }

  /** A key with a value. */
  entry(key: string, type: "u32" | "f32" | "string" | "bool", value: number | string | boolean): this {
    this.string(key).number("u32", GGUF[type])
    if (type === "string") return this.string(String(value))
    return type === "bool" ? this.#push(new Uint8Array([value ? 1 : 0])) : this.number(type, Number(value))
  }

  array(key: string, type: "i32" | "string", items: readonly (number | string)[]): this {
    this.string(key).number("u32", GGUF.array).number("u32", GGUF[type]).u64(items.length)
    for (const item of items) type === "string" ? this.string(String(item)) : this.number("i32", Number(item))
    return this
  }

  magic(): this {
    return this.#push(new TextEncoder().encode("GGUF")).number("u32", 3)
  }

  bytes(): Uint8Array {
    const length = this.#parts.reduce((sum, part) => sum + part.length, 0)
    const all = new Uint8Array(Math.ceil(length / ALIGN) * ALIGN)
    let at = 0
    for (const part of this.#parts) {
      all.set(part, at)
      at += part.length
    }
    return all
  }

  #push(bytes: Uint8Array): this {
    this.#parts.push(bytes)
    return this
  }
}

function ggufHeader(name: string, s: Shape, tensors: readonly Tensor[]): Uint8Array {
  const tokens = vocabulary(s.vocab)
  const entries: [string, "u32" | "f32" | "string" | "bool", number | string | boolean][] = [
    ["general.architecture", "string", s.arch], ["general.name", "string", name],
    [`${s.arch}.context_length`, "u32", s.context], [`${s.arch}.embedding_length`, "u32", s.hidden],
    [`${s.arch}.block_count`, "u32", s.layers], [`${s.arch}.feed_forward_length`, "u32", s.inner],
    [`${s.arch}.attention.head_count`, "u32", s.heads], [`${s.arch}.attention.head_count_kv`, "u32", s.kvHeads],
    [`${s.arch}.attention.key_length`, "u32", s.headDim], [`${s.arch}.attention.value_length`, "u32", s.headDim],
    [`${s.arch}.attention.layer_norm_rms_epsilon`, "f32", 1e-5], [`${s.arch}.rope.freq_base`, "f32", s.theta],
    [`${s.arch}.rope.dimension_count`, "u32", s.headDim], [`${s.arch}.vocab_size`, "u32", s.vocab],
    ["tokenizer.ggml.model", "string", "gpt2"], ["tokenizer.ggml.pre", "string", "gpt-2"],
    ["tokenizer.ggml.bos_token_id", "u32", 0], ["tokenizer.ggml.eos_token_id", "u32", 2],
    ["tokenizer.ggml.padding_token_id", "u32", 0], ["tokenizer.ggml.add_bos_token", "bool", false],
    ["tokenizer.chat_template", "string", TEMPLATE],
  ]
  const header = new GgufHeader().magic().u64(tensors.length).u64(entries.length + 3)
  for (const [key, type, value] of entries) header.entry(key, type, value)
  header.array("tokenizer.ggml.tokens", "string", tokens)
  header.array("tokenizer.ggml.token_type", "i32", tokens.map((_, id) => (id < SPECIAL.length ? 3 : 1)))
  header.array("tokenizer.ggml.merges", "string", [MERGE])
  let at = 0
  for (const { ggufName, rows, cols } of tensors) {
    const dims = cols === 0 ? [rows] : [cols, rows]
    header.string(ggufName).number("u32", dims.length)
    for (const dim of dims) header.u64(dim)
    header.number("u32", cols === 0 ? GGUF_F32 : GGUF_BF16).u64(at)
    at += Math.ceil((rows * Math.max(1, cols) * (cols === 0 ? 4 : 2)) / ALIGN) * ALIGN
  }
  return header.bytes()
}

function writeAll(fd: number, data: Uint16Array | Float32Array | Uint8Array, align = 1): void {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at)
  const rest = bytes.length % align
  if (rest > 0) writeSync(fd, new Uint8Array(align - rest))
}

/** The GGUF's path. Nothing is written where this very model is already; another one goes, with what was made of it. */
export function writeBenchModel(root: string, name: string): string {
  const shape = SHAPES[name]
  if (shape === undefined) throw new Error(`unknown shape ${name}; there are ${Object.keys(SHAPES).join(", ")}`)
  return writeShape(root, name, shape)
}

export function writeShape(root: string, name: string, shape: Shape): string {
  const directory = join(root, name)
  const gguf = join(directory, `${name}-BF16.gguf`)
  const config = join(directory, "config.json")
  if (existsSync(gguf) && readFileSync(config, "utf8") === modelConfig(shape)) return gguf
  rmSync(directory, { recursive: true, force: true })
  mkdirSync(directory, { recursive: true })
  const tensors = tensorsOf(shape)
  writeConfigs(directory, shape)
  const safetensors = openSync(join(directory, "model.safetensors"), "w")
  const ggufFd = openSync(`${gguf}.part`, "w")
  writeAll(safetensors, safetensorsHeader(tensors))
  writeAll(ggufFd, ggufHeader(name, shape, tensors))
  const draw = drawBits(new Prng(1))
  for (const tensor of tensors) {
    const bits = draw(tensor)
    writeAll(safetensors, bits)
    writeAll(ggufFd, tensor.cols === 0 ? widen(bits) : interleave(bits, tensor), ALIGN)
  }
  closeSync(safetensors)
  closeSync(ggufFd)
  renameSync(`${gguf}.part`, gguf)
  return gguf
}

if (import.meta.main) {
  const [root, ...names] = process.argv.slice(2)
  if (root === undefined || names.length === 0) throw new Error("usage: bench-model.ts DIR SHAPE...")
  for (const name of names) process.stdout.write(`${writeBenchModel(root, name)}\n`)
}
