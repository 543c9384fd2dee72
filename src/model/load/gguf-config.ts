import { ConfigError } from "../../base/errors.ts"
import { KeyReader } from "./gguf-keys.ts"
import type { GgufArchitecture, GgufExperts } from "./gguf-names.ts"

export interface GgufConfigInput {
  readonly path: string
  readonly metadata: ReadonlyMap<string, unknown>
  readonly architecture: GgufArchitecture
  /** Shape of a tensor by its GGUF name, or null. */
  shapeOf(name: string): readonly number[] | null
  /** The tensor of rotary divisors, or null. */
  readonly ropeFactors: readonly number[] | null
}

/**
 * The config.json that a model would have had, from the metadata of its GGUF file.
 *
 * Keys of the architecture that are not understood stay in it under their own names ("llama.some_key"): like an unknown
 * key of config.json, one may change the mathematics, and the reader of the config refuses it.
 * Errors: `ConfigError` for missing or wrong values.
 */
export function ggufConfig(input: GgufConfigInput): Record<string, unknown> {
  const { metadata, architecture, path, shapeOf } = input
  const keys = new KeyReader(metadata, `${String(metadata.get("general.architecture"))}.`, path)
  const window = architecture.windowed === null ? null : keys.int("attention.sliding_window")
  const experts = (keys.int("expert_count") ?? 0) > 0 ? architecture.experts : null
  const identity = experts ?? (window === null ? architecture : architecture.windowed!)
  const hiddenSize = keys.needInt("embedding_length")
  const numHeads = keys.needInt("attention.head_count")
  const headDim = readHeadDim(keys, hiddenSize, numHeads)
  const maxPositions = keys.needInt("context_length")
  const config: Record<string, unknown> = {
    architectures: [identity.hf],
    model_type: identity.modelType,
    hidden_size: hiddenSize,
    intermediate_size: keys.needInt("feed_forward_length"),
    num_hidden_layers: keys.needInt("block_count"),
    num_attention_heads: numHeads,
    num_key_value_heads: keys.int("attention.head_count_kv") ?? numHeads,
    head_dim: headDim,
    hidden_act: architecture.hiddenAct,
    rms_norm_eps: keys.needFloat("attention.layer_norm_rms_epsilon"),
    max_position_embeddings: maxPositions,
    rope_parameters: { ...readRope(keys, input.ropeFactors, maxPositions), ...readPartialRotary(keys, headDim) },
    vocab_size: readVocabSize(keys, shapeOf),
    tie_word_embeddings: shapeOf("output.weight") === null,
    // Hugging Face's key means all four projections; Qwen2's biases on three of them are part of its architecture.
    attention_bias: shapeOf("blk.0.attn_output.bias") !== null,
    mlp_bias: shapeOf("blk.0.ffn_up.bias") !== null,
    ...(window === null ? {} : { sliding_window: window }),
    ...(experts === null ? {} : readExperts(keys, experts, shapeOf)),
    ...tokenIds(new KeyReader(metadata, "tokenizer.ggml.", path)),
  }
  refuseOtherMathematics(keys, experts !== null)
  return { ...config, ...keys.unread() }
}

/** generation_config.json from the metadata: ids that end a text, and the sampling that the model's makers advise. */
export function ggufGenerationConfig(metadata: ReadonlyMap<string, unknown>, path: string): Record<string, unknown> {
  const tokens = new KeyReader(metadata, "tokenizer.ggml.", path)
  const ends = ["eos_token_id", "eot_token_id", "eom_token_id"]
    .map((key) => tokens.tokenId(key))
    .filter((id) => id !== null)
    .concat(tokens.ints("eos_token_ids"))
  const sampling = new KeyReader(metadata, "general.sampling.", path)
  return withoutNulls({
    bos_token_id: tokens.tokenId("bos_token_id"),
    eos_token_id: ends.length === 0 ? null : [...new Set(ends)],
    temperature: sampling.float("temp"),
    top_k: sampling.int("top_k"),
    top_p: sampling.float("top_p"),
    min_p: sampling.float("min_p"),
    repetition_penalty: sampling.float("penalty_repeat"),
  })
}

function readHeadDim(keys: KeyReader, hiddenSize: number, numHeads: number): number {
  const keyLength = keys.int("attention.key_length")
  const valueLength = keys.int("attention.value_length")
  const headDim = keyLength ?? hiddenSize / numHeads
  if (valueLength !== null && valueLength !== headDim)
    throw new ConfigError(
      `${keys.path}: heads have keys of ${headDim} and values of ${valueLength}; they must be equal`,
    )
  return headDim
}

/** Files without the sizes have them in the shapes of the first layer. */
function readExperts(
  keys: KeyReader, { sizeKey, sharedSizeKey, isNormalized }: GgufExperts, shapeOf: GgufConfigInput["shapeOf"],
): Record<string, unknown> {
  const [stack, shared] = [shapeOf("blk.0.ffn_gate_exps.weight"), shapeOf("blk.0.ffn_gate_shexp.weight")]
  const size = keys.int("expert_feed_forward_length") ?? stack?.[1] ?? null
  const sharedSize = keys.int("expert_shared_feed_forward_length") ?? shared?.[0] ?? null
  return withoutNulls({
    num_local_experts: keys.needInt("expert_count"),
    num_experts_per_tok: keys.needInt("expert_used_count"),
    norm_topk_prob: isNormalized,
    ...(sizeKey === null ? {} : { [sizeKey]: size }),
    ...(sharedSizeKey === null ? {} : { [sharedSizeKey]: sharedSize }),
  })
}

function readVocabSize(keys: KeyReader, shapeOf: GgufConfigInput["shapeOf"]): number {
  const stated = keys.int("vocab_size")
  const rows = shapeOf("token_embd.weight")?.[0]
  if (rows === undefined) throw new ConfigError(`${keys.path} has no tensor token_embd.weight`)
  if (stated !== null && stated !== rows)
    throw new ConfigError(`${keys.path}: the vocabulary has ${stated} entries, token_embd.weight has ${rows} rows`)
  return rows
}

function readPartialRotary(keys: KeyReader, headDim: number): Record<string, number> {
  const rotDim = keys.int("rope.dimension_count") ?? headDim
  return rotDim === headDim ? {} : { partial_rotary_factor: rotDim / headDim }
}

function readRope(keys: KeyReader, factors: readonly number[] | null, maxPositions: number): Record<string, unknown> {
  const theta = keys.float("rope.freq_base") ?? 10_000
  // The older key goes with linear scaling alone.
  const factor = keys.float("rope.scaling.factor") ?? keys.float("rope.scale_linear") ?? 1
  const type = keys.string("rope.scaling.type") ?? "linear"
  const original = keys.int("rope.scaling.original_context_length")
  keys.ignore("rope.scaling.finetuned")
  if (type === "yarn") {
    if (factors !== null)
      throw new ConfigError(`${keys.path}: yarn scaling and a tensor of rotary divisors exclude each other`)
    return { rope_theta: theta, ...readYarn(keys, factor, original ?? maxPositions) }
  }
  if (type !== "linear" && type !== "none")
    throw new ConfigError(
      `${keys.path}: rope.scaling.type is "${type.slice(0, 80)}"; none, linear and yarn are supported`,
    )
  const isScaled = type === "linear" && factor !== 1 && factor !== 0
  if (factors !== null) {
    if (isScaled)
      throw new ConfigError(`${keys.path}: linear scaling and a tensor of rotary divisors exclude each other`)
    return { rope_theta: theta, rope_type: "factors", factors }
  }
  if (!isScaled) return { rope_theta: theta, rope_type: "default" }
  return withoutNulls({ rope_theta: theta, rope_type: "linear", factor, original_max_position_embeddings: original })
}

function readYarn(keys: KeyReader, factor: number, original: number): Record<string, unknown> {
  keys.expect("rope.scaling.yarn_ext_factor", 1)
  return withoutNulls({
    rope_type: "yarn",
    factor,
    original_max_position_embeddings: original,
    beta_fast: keys.float("rope.scaling.yarn_beta_fast"),
    beta_slow: keys.float("rope.scaling.yarn_beta_slow"),
    attn_factor: keys.float("rope.scaling.attn_factor") ?? keys.float("rope.scaling.yarn_attn_factor"),
  })
}

function tokenIds(tokens: KeyReader): Record<string, unknown> {
  return withoutNulls({
    bos_token_id: tokens.tokenId("bos_token_id"),
    eos_token_id: tokens.tokenId("eos_token_id"),
    pad_token_id: tokens.tokenId("padding_token_id"),
  })
}

// Keys that converters write with the value that changes nothing.
function refuseOtherMathematics(keys: KeyReader, hasExperts: boolean): void {
  keys.expect("attention.causal", true)
  if (!hasExperts) keys.expect("expert_count", 0)
  if (!hasExperts) keys.expect("expert_used_count", 0)
  keys.expect("nextn_predict_layers", 0)
  keys.expect("pooling_type", 0)
  keys.expect("logit_scale", 1)
  keys.expect("embedding_scale", 1)
  keys.expect("residual_scale", 1)
  keys.ignore("tensor_data_layout")
}

function withoutNulls(values: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== null))
}
