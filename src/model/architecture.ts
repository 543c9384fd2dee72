import type { ConfigReader } from "./config.ts"
import type { ModelBuilder, ModelOutputs } from "./model-builder.ts"
import type { KVLayer, ModelTraits } from "./traits.ts"
import type { WeightMap } from "./weights.ts"

/** What a forward pass needs beside its weights. */
export interface ForwardContext {
  /** One for each entry of `ModelTraits.memory`. */
  readonly kv: readonly KVLayer[]
  /** Positions that tables have to cover. */
  readonly numPositions: number
  /** Tokens that a request may have as far as the user or the model says; memory may have room for less. */
  readonly maxLength: number
  /** The checkpoint has rotary pairs side by side. */
  readonly ropeInterleaved: boolean
}

/**
 * Writes the forward pass down, in a stage "body" over the tokens of a step and a stage "head" over the rows that are
 * sampled.
 */
export type Forward = (builder: ModelBuilder, context: ForwardContext) => ModelOutputs

/**
 * One model architecture: what to read from its config, what from its checkpoint, and how it computes. `C` is what it
 * makes of config.json, and nobody else's.
 */
export interface Architecture<C> {
  /** Names in config.json's `architectures`. */
  readonly hf: readonly string[]
  /** config.json's `model_type`, which tells where it has no `architectures`. */
  readonly modelType: string
  config(reader: ConfigReader): C
  traits(config: C): ModelTraits
  /** Asks `map` for every weight, and says what is computed with them. */
  model(map: WeightMap, config: C): Forward
}
