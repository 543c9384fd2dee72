/** `baozi bench perplexity` and `fidelity`: wires what is measured over a text to models and their tokenizers. */
import { readFileSync } from "node:fs"
import { ConfigError } from "../../base/errors.ts"
import { describeFidelity, measureFidelity } from "../../bench/fidelity.ts"
import { describePerplexity, perplexityOf } from "../../bench/perplexity.ts"
import { writeReport } from "../../bench/report.ts"
import type { BenchConfig } from "../bench-options.ts"
import type { ServeConfig } from "../serve-options.ts"
import { loadStepEngine } from "../../app/load-step-engine.ts"
import { modelPathOf } from "../../app/engine-options.ts"
import { tokenizerOf } from "../../app/tokenizer-of.ts"

/**
 * Tokens of a step of `fidelity`, in which each of its two models keeps logits of [tokens, V]; and the rows that the
 * output head computes at a time.
 */
const [FIDELITY_STEP_TOKENS, FIDELITY_HEAD_ROWS] = [256, 32]

export async function benchPerplexity(config: BenchConfig<"perplexity">): Promise<number> {
  const { tokenIds, contextLen, stride, engineFlags } = await prepareText(config)
  const engine = loadStepEngine(engineFlags)
  try {
    const figures = perplexityOf(tokenIds, { contextLen, stride }, (window) => engine.score(window))
    writeReport(describePerplexity(figures), { contextLen, stride, ...figures }, config.json)
  } finally {
    engine.dispose()
  }
  return 0
}

/** Both models are loaded at once and compute the same steps by turns: a text's logits are too many to be kept. */
export async function benchFidelity(config: BenchConfig<"fidelity">): Promise<number> {
  const { tokenIds, contextLen, stride, engineFlags } = await prepareText(config)
  const maxNumBatchedTokens = Math.min(engineFlags.maxNumBatchedTokens, FIDELITY_STEP_TOKENS)
  const flags: ServeConfig = {
    ...engineFlags, maxNumBatchedTokens, maxNumSeqs: Math.min(maxNumBatchedTokens, FIDELITY_HEAD_ROWS),
    enableChunkedPrefill: true, enablePrefixCaching: false,
  }
  const engine = loadStepEngine(flags)
  try {
    const reference = loadStepEngine({ ...flags, dtype: "float32", quantization: null, kvCacheDtype: "float32" })
    try {
      const options = { contextLen, stride, vocabSize: engine.model.traits.vocabSize }
      const figures = measureFidelity(
        tokenIds, options, (window) => reference.promptLogits(window), (window) => engine.promptLogits(window))
      writeReport(describeFidelity(figures), { contextLen, stride, ...figures }, config.json)
    } finally {
      reference.dispose()
    }
  } finally {
    engine.dispose()
  }
  return 0
}

/** Errors: `ConfigError` for a text that cannot be read, a model that is not there, or a stride over the window. */
async function prepareText(config: BenchConfig<"perplexity" | "fidelity">) {
  const { engine, file, contextLen, maxTokens } = config
  const stride = config.stride ?? Math.ceil(contextLen / 2)
  if (stride >= contextLen) throw new ConfigError(`--stride ${stride} must be less than --context-len ${contextLen}`)
  const tokenizer = await tokenizerOf(engine.tokenizer, modelPathOf(engine))
  const tokenIds = tokenizer.encode(readText(file)).slice(0, maxTokens ?? undefined)
  const engineFlags: ServeConfig = { ...engine, maxModelLen: engine.maxModelLen ?? contextLen + 1 }
  return { tokenIds, contextLen, stride, engineFlags }
}

function readText(file: string | null): string {
  if (file === null) throw new ConfigError("a text is needed: --file")
  try {
    return readFileSync(file, "utf8")
  } catch (error) {
    throw new ConfigError(`--file ${file}: ${(error as Error).message}`)
  }
}
