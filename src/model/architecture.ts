import type { Matrix } from "../tensor/device.ts"
import type { ConfigReader, ModelConfig } from "./config.ts"
import type { GraphBuilder, KVLayer, RopeTable } from "./graph-builder.ts"
import type { WeightMap } from "./weights.ts"

/** What a forward pass needs beside its weights. */
export interface ForwardContext {
  readonly config: ModelConfig
  /** One a layer. */
  readonly kv: readonly KVLayer[]
  readonly rope: RopeTable
  /** Where the logits of the sampled rows go: [samples, V]. */
  readonly logits: Matrix
  readonly maxSamples: number
}

/** Writes the forward pass down; called once, when the weights are loaded. */
export type Forward = (builder: GraphBuilder, context: ForwardContext) => void

/** One model architecture: what to read from its config, what from its checkpoint, and how it computes. */
export interface Architecture {
  /** Names in config.json's `architectures`. */
  readonly hf: readonly string[]
  /** config.json's `model_type`, which tells where it has no `architectures`. */
  readonly modelType: string
  config(reader: ConfigReader): ModelConfig
  /** Asks `map` for every weight, and says what is computed with them. */
  model(map: WeightMap, config: ModelConfig): Forward
}
