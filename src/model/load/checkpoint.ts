import type { DType } from "./dtype.ts"

/** One tensor of a checkpoint, in the file's own memory: read-only, and gone when the checkpoint is closed. */
export interface CheckpointTensor {
  readonly name: string
  readonly dtype: DType
  /** Outermost first, whatever the file's own order: a linear layer's weight is [N, C]. */
  readonly shape: readonly number[]
  readonly address: number
  readonly bytes: number
  /**
   * Gives the tensor's file pages back to the system; reading it again brings them back from the disk. To be called
   * when it has been read: `ConfigError` where the file has become shorter meanwhile.
   */
  release(): void
}

export interface Checkpoint {
  /** Bytes of all tensors, as the files store them. */
  readonly totalBytes: number
  names(): readonly string[]
  /** Null when there is no such tensor. Errors: `ConfigError` when its type is one that no kernel reads. */
  get(name: string): CheckpointTensor | null
  /** Unmaps the files: no tensor may be read afterwards. */
  close(): void
}

/** A model on disk: what it is (config) and what it weighs (checkpoint), in Hugging Face's terms for either format. */
export interface ModelSource {
  /** The directory, or the GGUF file. */
  readonly path: string
  readonly kind: "safetensors" | "gguf"
  /** config.json, or the same synthesized from GGUF metadata. */
  readonly config: Record<string, unknown>
  /** generation_config.json; empty when absent. */
  readonly generationConfig: Record<string, unknown>
  /** GGUF files of the llama family store the rows of q and k so that rotation pairs are neighbours. */
  readonly ropeInterleaved: boolean
  /** The GGUF file's own metadata: tokenizer and chat template live there. Null for safetensors. */
  readonly ggufMetadata: ReadonlyMap<string, unknown> | null
  /** Tensor names are always Hugging Face's (`model.layers.0.self_attn.q_proj.weight`). */
  readonly checkpoint: Checkpoint
}

export interface FileMapping {
  readonly address: number
  readonly size: number
  /** A view of `[offset, offset + bytes)` without a copy, of the whole file when absent; it dies with `unmap`. */
  bytes(offset?: number, bytes?: number): Uint8Array
  release(offset: number, bytes: number): void
  unmap(): void
}

/** Maps a file read-only; injected, so that the readers need no kernel library. Errors: `ConfigError`. */
export type MapFile = (path: string) => FileMapping
