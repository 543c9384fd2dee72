/** What the back half tells the front when the model is loaded. */
export interface EngineReady {
  readonly maxModelLen: number
  readonly vocabSize: number
  readonly numBlocks: number
  readonly blockSize: number
  readonly capacityTokens: number
  readonly maxConcurrency: number
  /** Names of those that every request passes through, in order. */
  readonly logitsProcessors: readonly string[]
  /** What the user should know of the checkpoint. */
  readonly warnings: readonly string[]
}
