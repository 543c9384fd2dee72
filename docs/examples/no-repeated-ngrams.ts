/**
 * A logits processor: never lets the output repeat a run of n tokens, for requests that send
 * `"vllm_xargs": {"no_repeat_ngram_size": 3}`.
 *
 *     baozi serve --logits-processors docs/examples/no-repeated-ngrams.ts
 */
import type { LogitsProcessor, LogitsRequest, LogitsRow } from "../../src/exec/logits-processors/interface.ts"

class NgramRow implements LogitsRow {
  readonly #request: LogitsRequest
  readonly #size: number

  constructor(request: LogitsRequest, size: number) {
    this.#request = request
    this.#size = size
  }

  apply(logits: Float32Array): void {
    const { tokenIds, numPromptTokens } = this.#request
    const prefix = this.#size - 1
    const end = tokenIds.length - prefix
    if (end < numPromptTokens) return
    for (let at = numPromptTokens; at < end; at++) {
      let isRepeated = true
      for (let i = 0; i < prefix && isRepeated; i++) isRepeated = tokenIds[at + i] === tokenIds[end + i]
      if (isRepeated) logits[tokenIds[at + prefix]!] = -Infinity
    }
  }
}

export default {
  name: "no-repeated-ngrams",

  add(request) {
    const size = request.args["no_repeat_ngram_size"]
    if (size === undefined) return null
    if (!Number.isInteger(size) || (size as number) < 2) {
      throw new Error(`no_repeat_ngram_size is ${JSON.stringify(size)}, but must be an integer of at least 2`)
    }
    return new NgramRow(request, size as number)
  },
} satisfies LogitsProcessor
