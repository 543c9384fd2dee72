import type { Act } from "../../ffi/abi.ts"
import { ConfigError } from "../base/errors.ts"
import { ConfigReader } from "./config-reader.ts"
import { readRopeConfig, scaledLength, type RopeConfig } from "./rope-config.ts"

export { ConfigReader }

/** What every decoder architecture here has in common, from config.json. */
export interface ModelConfig {
  readonly vocabSize: number
  readonly hiddenSize: number
  readonly intermediateSize: number
  readonly numLayers: number
  readonly numHeads: number
  /** Divides `numHeads`. */
  readonly numKvHeads: number
  readonly headDim: number
  readonly rmsNormEps: number
  readonly hiddenAct: Act
  /** Positions as config.json states them. */
  readonly maxPositionEmbeddings: number
  /** Tokens of one request at most: `maxPositionEmbeddings`, or what rotary scaling lengthens it to. */
  readonly maxModelLen: number
  readonly tieWordEmbeddings: boolean
  readonly rope: RopeConfig
  /** Dimensions of a head that rotate. */
  readonly rotDim: number
  /** One a layer: how many of the last tokens it sees, its own included; 0 is all of them. */
  readonly windows: readonly number[]
  readonly attentionBias: boolean
  readonly mlpBias: boolean
  readonly bosTokenId: number | null
  readonly eosTokenIds: readonly number[]
  /** What the weights were stored as when the config was written; null when it does not say. */
  readonly torchDtype: TorchDType | null
}

export type TorchDType = "float32" | "bfloat16" | "float16"

// An order of magnitude above the largest released models: beyond is a damaged file, and would only be allocated for.
export const LIMITS = {
  vocabSize: 16_777_216, hiddenSize: 262_144, intermediateSize: 2_097_152, layers: 2048, heads: 4096, headDim: 2048,
  positions: 268_435_456,
  // Kernels hold it as a float32, and refuse 0: this is its smallest normal one.
  leastEps: 2 ** -126,
} as const

const ACTIVATIONS: Readonly<Record<string, Act>> = {
  silu: "silu",
  swish: "silu",
  gelu: "gelu",
  gelu_pytorch_tanh: "gelu_tanh",
  gelu_new: "gelu_tanh",
  gelu_fast: "gelu_tanh",
  relu: "relu",
}

const TORCH_DTYPES: Readonly<Record<string, TorchDType>> = {
  float32: "float32", bfloat16: "bfloat16", float16: "float16",
  "torch.float32": "float32", "torch.bfloat16": "bfloat16", "torch.float16": "float16",
}

/**
 * Reads the config of a decoder with Llama's key names; absent keys have Llama's defaults.
 *
 * Errors: `ConfigError` naming key and value. Whoever reads the last key calls `assertAllUnderstood`.
 */
export function decoderConfig(
  reader: ConfigReader,
  defaults: { headDim?: number; tieWordEmbeddings?: boolean; actKey?: string; act?: string } = {},
): ModelConfig {
  refuseOtherMathematics(reader)
  const hiddenSize = reader.int("hidden_size", { min: 1, max: LIMITS.hiddenSize })
  const numLayers = reader.int("num_hidden_layers", { min: 1, max: LIMITS.layers })
  const numHeads = reader.int("num_attention_heads", { min: 1, max: LIMITS.heads })
  const headDim = readHeadDim(reader, hiddenSize, numHeads, defaults.headDim)
  const maxPositionEmbeddings = readPositions(reader)
  const vocabSize = reader.int("vocab_size", { min: 1, max: LIMITS.vocabSize })
  const rope = readRopeConfig(reader, headDim, maxPositionEmbeddings)
  const config: ModelConfig = {
    vocabSize,
    hiddenSize,
    intermediateSize: reader.int("intermediate_size", { min: 1, max: LIMITS.intermediateSize }),
    numLayers,
    numHeads,
    numKvHeads: readKvHeads(reader, numHeads),
    headDim,
    rmsNormEps: reader.float("rms_norm_eps", { min: LIMITS.leastEps, max: 1 }, 1e-6),
    hiddenAct: reader.choice(defaults.actKey ?? "hidden_act", ACTIVATIONS, defaults.act ?? "silu"),
    maxPositionEmbeddings,
    maxModelLen: readMaxModelLen(rope),
    tieWordEmbeddings: reader.bool("tie_word_embeddings", defaults.tieWordEmbeddings ?? false),
    rope,
    rotDim: rope.rotDim,
    windows: readWindows(reader, numLayers),
    attentionBias: reader.bool("attention_bias", false),
    mlpBias: reader.bool("mlp_bias", false),
    bosTokenId: reader.optionalInt("bos_token_id", { min: 0 }),
    eosTokenIds: reader.intList("eos_token_id", { min: 0 }),
    torchDtype: readTorchDtype(reader),
  }
  readAliases(reader, config)
  return config
}

// Keys that real configs carry with the value that changes nothing.
function refuseOtherMathematics(reader: ConfigReader): void {
  reader.expect("is_encoder_decoder", false)
  reader.expect("add_cross_attention", false)
  reader.expect("tie_encoder_decoder", false)
  reader.expect("chunk_size_feed_forward", 0)
  reader.expect("rope_interleaved", false)
  reader.expect("use_mrope", false)
  reader.expect("use_bidirectional_attention", false)
}

// The first conversions of Llama had a name of their own for it, and others had further ones.
const OLDER_POSITIONS = ["max_sequence_length", "max_seq_length", "max_seq_len", "seq_length", "n_positions"]

function readPositions(reader: ConfigReader): number {
  const range = { min: 1, max: LIMITS.positions }
  const older = OLDER_POSITIONS.find((key) => !reader.has("max_position_embeddings") && reader.has(key))
  return reader.int(older ?? "max_position_embeddings", range)
}

/** Other implementations' names for the sizes, which tools write beside Hugging Face's. */
function readAliases(reader: ConfigReader, c: ModelConfig): void {
  for (const key of ["num_layers", "n_layer", "n_layers"]) reader.alias(key, c.numLayers)
  for (const key of ["n_head", "n_heads", "num_heads"]) reader.alias(key, c.numHeads)
  for (const key of ["n_kv_heads", "num_kv_heads", "num_query_groups"]) reader.alias(key, c.numKvHeads)
  for (const key of ["n_embd", "d_model", "dim"]) reader.alias(key, c.hiddenSize)
  for (const key of ["n_inner", "ffn_hidden_size", "ffn_dim"]) reader.alias(key, c.intermediateSize)
  for (const key of ["kv_channels", "attention_head_dim"]) reader.alias(key, c.headDim)
  for (const key of ["rotary_emb_base", "rotary_base", "rope_base"]) reader.alias(key, c.rope.theta)
  for (const key of ["norm_eps", "layer_norm_eps", "layer_norm_epsilon", "rms_norm_epsilon"])
    reader.alias(key, c.rmsNormEps)
  for (const key of ["padded_vocab_size", "n_vocab"]) reader.alias(key, c.vocabSize)
  reader.alias("rotary_dim", c.rotDim)
}

function readMaxModelLen(rope: RopeConfig): number {
  const length = scaledLength(rope)
  if (length > LIMITS.positions)
    throw new ConfigError(`config.json: rotary scaling makes ${length} positions; the limit is ${LIMITS.positions}`)
  return length
}

function readHeadDim(reader: ConfigReader, hiddenSize: number, numHeads: number, fallback: number | undefined): number {
  const headDim = reader.optionalInt("head_dim", { min: 1, max: LIMITS.headDim }) ?? fallback ?? hiddenSize / numHeads
  if (!Number.isInteger(headDim))
    throw new ConfigError(`config.json: hidden_size ${hiddenSize} is no multiple of num_attention_heads ${numHeads}`)
  if (headDim > LIMITS.headDim)
    throw new ConfigError(`config.json: heads of ${headDim}; the limit is ${LIMITS.headDim}`)
  return headDim
}

function readKvHeads(reader: ConfigReader, numHeads: number): number {
  const numKvHeads = reader.int("num_key_value_heads", { min: 1, max: numHeads }, numHeads)
  if (numHeads % numKvHeads !== 0)
    throw new ConfigError(
      `config.json: num_attention_heads ${numHeads} is no multiple of num_key_value_heads ${numKvHeads}`,
    )
  return numKvHeads
}

/**
 * Three ways in which configs speak of windows: `layer_types` says it layer by layer; Qwen's `use_sliding_window` opts
 * in from layer `max_window_layers` on (28 when absent); `sliding_window` alone (Mistral) means every layer.
 */
function readWindows(reader: ConfigReader, numLayers: number): number[] {
  const isOptIn = reader.has("use_sliding_window") || reader.has("max_window_layers")
  const isOn = reader.bool("use_sliding_window", !isOptIn)
  const firstLayer = reader.int("max_window_layers", { min: 0 }, isOptIn ? 28 : 0)
  // Switched off, it may be written as 0 too.
  const stated = reader.optionalInt("sliding_window", { min: isOn ? 1 : 0, max: LIMITS.positions })
  const window = isOn ? (stated ?? 0) : 0
  const types = reader.strings("layer_types")
  if (types === null) return Array.from({ length: numLayers }, (_, layer) => (layer >= firstLayer ? window : 0))
  if (types.length !== numLayers)
    throw new ConfigError(`config.json: layer_types has ${types.length} entries, num_hidden_layers is ${numLayers}`)
  return types.map((type) => windowOfType(type, window))
}

function windowOfType(type: string, window: number): number {
  if (type === "full_attention") return 0
  if (type !== "sliding_attention")
    throw new ConfigError(`config.json: layer_types has "${type}"; full_attention and sliding_attention are supported`)
  if (window === 0)
    throw new ConfigError("config.json: layer_types has sliding_attention, and sliding_window is not set")
  return window
}

export function readTorchDtype(reader: ConfigReader): TorchDType | null {
  const older = reader.has("torch_dtype") ? reader.choice("torch_dtype", TORCH_DTYPES) : null
  return reader.has("dtype") ? reader.choice("dtype", TORCH_DTYPES) : older
}
