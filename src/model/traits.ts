/** What the engine has to know of a model; all else is between its architecture and its checkpoint. */
export interface ModelTraits {
  readonly vocabSize: number
  /** Tokens of one request at most. */
  readonly maxModelLen: number
  /** What layers keep of a request between steps, an entry for each that keeps something. */
  readonly memory: readonly LayerMemory[]
}

/** What one layer keeps of each request. */
export type LayerMemory = AttentionMemory | LatentMemory | StateMemory

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

/**
 * One state a request in float32, which every token changes: the last inputs of a convolution, and what a scan carries
 * from token to token. A block of the cache holds one state in place of tokens' keys and values.
 */
export interface StateMemory {
  readonly kind: "state"
  /** float32 values of each part. */
  readonly convSize: number
  readonly scanSize: number
}

/** Where a layer's memory lies; tables of places are the group's. */
export interface KVLayer {
  /** Layers of one group have their blocks in common. */
  readonly group: number
  /** Of a state the convolution's inputs. */
  readonly key: number
  /** 0 where the key is the value too. Of a state what the scan carries; 0: behind the convolution's inputs. */
  readonly value: number
  /** From block to block, at `key` as at `value`. */
  readonly pageBytes: number
  readonly dtype: KVType
  readonly blockSize: number
  readonly numBlocks: number
}

export type KVType = "F32" | "BF16"
