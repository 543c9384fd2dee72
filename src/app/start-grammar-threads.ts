/** Wires the grammar threads: xgrammar's module, and a model's tokens as bytes. */
import { readGrammarModule, workerUrl } from "../base/embedded.ts"
import { GrammarThreads } from "../grammar/grammar-threads.ts"
import type { GrammarLimits } from "../grammar/limits.ts"
import { readVocabulary, type TokenSource } from "../grammar/vocabulary.ts"

export interface GrammarModel {
  readonly tokenizer: TokenSource
  /** The model's outputs, padding included. */
  readonly vocabSize: number
  /** Tokens that end a text. */
  readonly stopTokenIds: readonly number[]
}

/** Errors: `GrammarError` if no grammar can be followed with the model's tokenizer. */
export function startGrammarThreads(
  { tokenizer, vocabSize, stopTokenIds }: GrammarModel, limits: GrammarLimits, onLost: (words: string) => void,
): GrammarThreads {
  const wasm = readGrammarModule()
  const vocabulary = readVocabulary(tokenizer, { vocabSize, stopTokenIds })
  return new GrammarThreads({
    start: { type: "start", wasm, vocabulary, limits },
    startWorker: () => new Worker(workerUrl("grammar-worker.ts")),
    onLost,
  })
}
