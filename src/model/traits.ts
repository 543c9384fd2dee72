/** What the engine has to know of a model; all else is between its architecture and its checkpoint. */
export interface ModelTraits {
  readonly vocabSize: number
  /** Tokens of one request at most. */
  readonly maxModelLen: number
  /** What layers keep of a request between steps, an entry for each that keeps something. */
  readonly memory: readonly LayerMemory[]
}

/** What one layer keeps of each request. */
export type LayerMemory = AttentionMemory | LatentMemory

/** Keys and values of `numKvHeads` heads of `headDim` for every token, or for the last `window` tokens. */
export interface AttentionMemory {
  readonly kind: "attention"
  readonly numKvHeads: number
  readonly headDim: number
  /** The token itself included; 0: all tokens. */
  readonly window: number
}

/** One latent for every token, and one key with rotary positions, for all heads. */
export interface LatentMemory {
  readonly kind: "latent"
  readonly rank: number
  readonly ropeDim: number
}

/** Where a layer's memory lies; tables of places are the group's. */
export interface KVLayer {
  /** Layers of one group have their blocks in common. */
  readonly group: number
  readonly key: number
  /** 0 where the key is the value too. */
  readonly value: number
  readonly dtype: KVType
  readonly blockSize: number
  readonly numBlocks: number
}

export type KVType = "F32" | "BF16"
