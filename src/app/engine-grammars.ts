/** Wires the grammar threads between the front of the engine, which has grammars, and its thread, which needs masks. */
import { RequestError } from "../base/errors.ts"
import type { GrammarSpec } from "../core/grammar-spec.ts"
import type { GrammarCompiler, GrammarUse } from "../engine/async-engine.ts"
import type { ModelInfo } from "../engine/engine-client.ts"
import type { EngineReady } from "../engine/engine-ready.ts"
import type { WorkerPort } from "../engine/worker-port.ts"
import type { EngineStart } from "../exec/engine-config.ts"
import { GrammarError } from "../grammar/grammar-error.ts"
import type { GrammarThreads } from "../grammar/grammar-threads.ts"
import { DEFAULT_GRAMMAR_LIMITS } from "../grammar/limits.ts"
import { SharedMasks } from "../grammar/shared-masks.ts"
import { startGrammarThreads } from "./start-grammar-threads.ts"
import type { Tokenizer } from "../text/tokenizer.ts"

export class EngineGrammars implements GrammarCompiler {
  readonly #port: WorkerPort<EngineStart, EngineReady>
  readonly #tokenizer: Tokenizer
  readonly #model: ModelInfo
  readonly #maxRows: number
  #threads: GrammarThreads | null = null
  /** The start of the engine's thread that has the present connection; 0: none has. */
  #connectedStart = 0

  constructor(port: WorkerPort<EngineStart, EngineReady>, tokenizer: Tokenizer, model: ModelInfo, maxRows: number) {
    this.#port = port
    this.#tokenizer = tokenizer
    this.#model = model
    this.#maxRows = maxRows
  }

  async compile(spec: GrammarSpec): Promise<GrammarUse> {
    try {
      const use = await this.#startedThreads().compile(spec)
      this.#connect()
      return use
    } catch (error) {
      throw error instanceof GrammarError ? new RequestError(error.message) : error
    }
  }

  stop(): void {
    this.#threads?.stop()
  }

  /** They start with the first grammar. Errors: `GrammarError`. */
  #startedThreads(): GrammarThreads {
    const { vocabSize, eosTokenId, extraEosTokenIds } = this.#model
    // One way to end: others would show as a stop token's id in the answer.
    const stopTokenIds = eosTokenId === null ? extraEosTokenIds : [eosTokenId]
    return (this.#threads ??= startGrammarThreads(
      { tokenizer: this.#tokenizer, vocabSize, stopTokenIds }, DEFAULT_GRAMMAR_LIMITS,
      () => (this.#connectedStart = 0),
    ))
  }

  /** Before a request that has the grammar is sent: messages to the engine's thread keep their order. */
  #connect(): void {
    if (this.#connectedStart === this.#port.numStarts || this.#threads === null) return
    const vocabSize = this.#model.vocabSize
    const { buffer, rows } = new SharedMasks({ rows: this.#maxRows, vocabSize })
    const memory = { buffer, rows, vocabSize }
    this.#port.connectGrammars(this.#threads.connect(memory), memory)
    this.#connectedStart = this.#port.numStarts
  }
}
