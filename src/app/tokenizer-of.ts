/** Which tokenizer a model has. */
import { present } from "../base/assert.ts"
import type { ModelSource } from "../model/load/checkpoint.ts"
import { openModel } from "../model/load/open.ts"
import { readOnlyMapping } from "../model/load/read-only-mapping.ts"
import { loadTokenizerFromGguf } from "../text/gguf-tokenizer.ts"
import { loadTokenizerFromDirectory } from "../text/load-tokenizer.ts"
import type { Tokenizer } from "../text/tokenizer.ts"

/** Where the tokenizer is; null: inside a GGUF file. */
export function tokenizerDirectory(tokenizerPath: string | null, source: ModelSource): string | null {
  return tokenizerPath ?? (source.kind === "safetensors" ? source.path : null)
}

/** The tokenizer of a model that is not otherwise needed. Errors: `ConfigError`. */
export async function tokenizerOf(tokenizerPath: string | null, modelPath: string): Promise<Tokenizer> {
  const source = openModel(modelPath, readOnlyMapping)
  try {
    return await loadTokenizer(tokenizerPath, source)
  } finally {
    source.checkpoint.close()
  }
}

/**
 * The tokenizer of another directory, or the model's own. `warn` receives lines about what makes it worse than it could
 * be. Errors: `ConfigError`.
 */
export async function loadTokenizer(
  tokenizerPath: string | null, source: ModelSource, warn?: (line: string) => void,
): Promise<Tokenizer> {
  const directory = tokenizerDirectory(tokenizerPath, source)
  return directory !== null
    ? loadTokenizerFromDirectory(directory)
    : loadTokenizerFromGguf(present(source.ggufMetadata, "metadata of a GGUF file"), warn)
}
