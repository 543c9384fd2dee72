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
  /** Where the file counts experts; null when it then cannot be served. */
  readonly experts: GgufExperts | null
}

export interface GgufExperts {
  readonly hf: string
  readonly modelType: string
  /** Module names of stacks [experts, rows, columns], and what an expert's matrix is called around its number. */
  readonly stacks: Readonly<Record<string, readonly [before: string, after: string]>>
  /** Names under which the config has an expert's inner size, and that of the experts which all tokens share. */
  readonly sizeKey: string | null
  readonly sharedSizeKey: string | null
  /** What the architecture does with the weights of chosen experts, which files do not say; null: it is fixed. */
  readonly isNormalized: boolean | null
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

/** Of experts stored under `mlp`. */
const EXPERT_STACKS = {
  ffn_gate_exps: ["mlp.experts", "gate_proj"],
  ffn_up_exps: ["mlp.experts", "up_proj"],
  ffn_down_exps: ["mlp.experts", "down_proj"],
} as const
const QK_NORMS = { attn_q_norm: "self_attn.q_norm", attn_k_norm: "self_attn.k_norm" } as const
const ROUTER = { ffn_gate_inp: "mlp.gate" } as const

const MIXTRAL: GgufExperts = {
  hf: "MixtralForCausalLM", modelType: "mixtral", sizeKey: null, sharedSizeKey: null, isNormalized: null,
  stacks: {
    ffn_gate_exps: ["block_sparse_moe.experts", "w1"],
    ffn_up_exps: ["block_sparse_moe.experts", "w3"],
    ffn_down_exps: ["block_sparse_moe.experts", "w2"],
  },
}

const TOP_LEVEL: Readonly<Record<string, string>> = {
  token_embd: "model.embed_tokens",
  output_norm: "model.norm",
  output: "lm_head",
}

/** Divisors of the rotary frequencies: not a weight, but a part of the config. */
export const ROPE_FACTORS = "rope_freqs.weight"

/** By `general.architecture`: a further architecture is one more entry. */
const ARCHITECTURES: Readonly<Record<string, GgufArchitecture>> = {
  // Converters call Mistral's files and Mixtral's llama too.
  llama: {
    hf: "LlamaForCausalLM", modelType: "llama", hiddenAct: "silu", ropeInterleaved: true,
    layer: { ...DECODER_LAYER, ffn_gate_inp: "block_sparse_moe.gate" },
    windowed: { hf: "MistralForCausalLM", modelType: "mistral" }, experts: MIXTRAL,
  },
  qwen2: {
    hf: "Qwen2ForCausalLM", modelType: "qwen2", hiddenAct: "silu", ropeInterleaved: false, layer: DECODER_LAYER,
    windowed: null, experts: null,
  },
  qwen3: {
    hf: "Qwen3ForCausalLM", modelType: "qwen3", hiddenAct: "silu", ropeInterleaved: false, windowed: null,
    layer: { ...DECODER_LAYER, ...QK_NORMS }, experts: null,
  },
  qwen2moe: mixture({
    hf: "Qwen2MoeForCausalLM", modelType: "qwen2_moe", stacks: EXPERT_STACKS, sizeKey: "moe_intermediate_size",
    sharedSizeKey: "shared_expert_intermediate_size", isNormalized: false,
  }, {
    ffn_gate_inp_shexp: "mlp.shared_expert_gate", ffn_gate_shexp: "mlp.shared_expert.gate_proj",
    ffn_up_shexp: "mlp.shared_expert.up_proj", ffn_down_shexp: "mlp.shared_expert.down_proj",
  }),
  qwen3moe: mixture({
    hf: "Qwen3MoeForCausalLM", modelType: "qwen3_moe", stacks: EXPERT_STACKS, sizeKey: "moe_intermediate_size",
    sharedSizeKey: null, isNormalized: true,
  }, QK_NORMS),
  olmoe: mixture({
    hf: "OlmoeForCausalLM", modelType: "olmoe", stacks: EXPERT_STACKS, sizeKey: null, sharedSizeKey: null,
    isNormalized: false,
  }, QK_NORMS),
}

/** An architecture that always has experts. `layer`: its further modules. */
function mixture(experts: GgufExperts, layer: Readonly<Record<string, string>>): GgufArchitecture {
  const { hf, modelType } = experts
  return {
    hf, modelType, hiddenAct: "silu", ropeInterleaved: false, windowed: null, experts,
    layer: { ...DECODER_LAYER, ...ROUTER, ...layer },
  }
}

/** Errors: `ConfigError` naming the architectures there are. */
export function ggufArchitecture(name: unknown, path: string): GgufArchitecture {
  const found = typeof name === "string" && Object.hasOwn(ARCHITECTURES, name) ? ARCHITECTURES[name] : undefined
  if (found !== undefined) return found
  const known = Object.keys(ARCHITECTURES).join(", ")
  const shown = typeof name === "string" ? `"${name.slice(0, 80)}"` : "missing"
  throw new ConfigError(`${path}: general.architecture is ${shown}; supported: ${known}`)
}

/** The Hugging Face name of a tensor. An unknown one keeps its own, for the check that every tensor is read. */
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

/** Of a stack of experts: the name of each one's matrix. Null for other tensors. */
export function expertName(name: string, { experts }: GgufArchitecture): ((expert: number) => string) | null {
  const found = /^blk\.(\d{1,5})\.([a-z_]+)\.weight$/.exec(name)
  if (found === null || experts === null || !Object.hasOwn(experts.stacks, found[2]!)) return null
  const [before, after] = experts.stacks[found[2]!]!
  return (expert) => `model.layers.${found[1]!}.${before}.${expert}.${after}.weight`
}

/** A matrix of one row, which files have as a vector. */
export function isLoneRow(name: string): boolean {
  return /^blk\.\d{1,5}\.ffn_gate_inp_shexp\.weight$/.test(name)
}
