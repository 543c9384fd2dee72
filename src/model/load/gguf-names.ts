import { ConfigError } from "../../base/errors.ts"

/** What a GGUF architecture is called in Hugging Face's world. */
export interface GgufArchitecture {
  readonly hf: string
  readonly modelType: string
  /** The name it has when the file states a sliding window; null when it then cannot be served. */
  readonly windowed: { readonly hf: string; readonly modelType: string } | null
  readonly hiddenAct: string
  /** Converters reorder the rows of q and k of these, so that the two halves of a rotation are neighbours. */
  readonly ropeInterleaved: boolean
  /** Module names under `blk.N.` and what they are under `model.layers.N.`. */
  readonly layer: Readonly<Record<string, string>>
}

const DECODER_LAYER = {
  attn_norm: "input_layernorm",
  attn_q: "self_attn.q_proj",
  attn_k: "self_attn.k_proj",
  attn_v: "self_attn.v_proj",
  attn_output: "self_attn.o_proj",
  ffn_norm: "post_attention_layernorm",
  ffn_gate: "mlp.gate_proj",
  ffn_up: "mlp.up_proj",
  ffn_down: "mlp.down_proj",
} as const

const TOP_LEVEL: Readonly<Record<string, string>> = {
  token_embd: "model.embed_tokens",
  output_norm: "model.norm",
  output: "lm_head",
}

/** Divisors of the rotary frequencies: not a weight, but a part of the config. */
export const ROPE_FACTORS = "rope_freqs.weight"

/** By `general.architecture`: a further architecture is one more entry. */
const ARCHITECTURES: Readonly<Record<string, GgufArchitecture>> = {
  // Mistral's converter calls its files llama too.
  llama: {
    hf: "LlamaForCausalLM", modelType: "llama", hiddenAct: "silu", ropeInterleaved: true, layer: DECODER_LAYER,
    windowed: { hf: "MistralForCausalLM", modelType: "mistral" },
  },
  qwen2: {
    hf: "Qwen2ForCausalLM", modelType: "qwen2", hiddenAct: "silu", ropeInterleaved: false, layer: DECODER_LAYER,
    windowed: null,
  },
  qwen3: {
    hf: "Qwen3ForCausalLM", modelType: "qwen3", hiddenAct: "silu", ropeInterleaved: false, windowed: null,
    layer: { ...DECODER_LAYER, attn_q_norm: "self_attn.q_norm", attn_k_norm: "self_attn.k_norm" },
  },
}

/** Errors: `ConfigError` naming the architectures there are. */
export function ggufArchitecture(name: unknown, path: string): GgufArchitecture {
  const found = typeof name === "string" && Object.hasOwn(ARCHITECTURES, name) ? ARCHITECTURES[name] : undefined
  if (found !== undefined) return found
  const known = Object.keys(ARCHITECTURES).join(", ")
  const shown = typeof name === "string" ? `"${name.slice(0, 80)}"` : "missing"
  throw new ConfigError(`${path}: general.architecture is ${shown}; supported: ${known}`)
}

/** The Hugging Face name of a tensor. An unknown one keeps its own, for whoever checks that every tensor is read. */
export function huggingFaceName(name: string, architecture: GgufArchitecture): string {
  const inLayer = /^blk\.(\d{1,5})\.([a-z_]+)\.(weight|bias)$/.exec(name)
  if (inLayer !== null) {
    const [, layer, part, kind] = inLayer as unknown as [string, string, string, string]
    return Object.hasOwn(architecture.layer, part) ? `model.layers.${layer}.${architecture.layer[part]!}.${kind}` : name
  }
  const top = /^([a-z_]+)\.(weight|bias)$/.exec(name)
  if (top === null || !Object.hasOwn(TOP_LEVEL, top[1]!)) return name
  return `${TOP_LEVEL[top[1]!]!}.${top[2]!}`
}
