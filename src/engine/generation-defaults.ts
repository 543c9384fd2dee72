import { ConfigError, RequestError } from "../base/errors.ts"
import { defaultSamplingParams } from "../core/sampling-params.ts"
import { validateSampling } from "./sampling-validation.ts"

/**
 * Checks the sampling values that requests leave out (Hugging Face's names) as a request's own would be: where one is
 * out of bounds, no request could be served with it. Errors: `ConfigError` naming the key, the value and the bounds.
 */
export function checkGenerationDefaults(defaults: Readonly<Record<string, number>>): void {
  // Requests get no more tokens than fit, whatever the config says; everything else is bounded without the model.
  const model = { vocabSize: Infinity, maxModelLen: Infinity, maxLogprobs: -1 }
  const unset = defaultSamplingParams()
  const values = {
    temperature: defaults["temperature"] ?? unset.temperature,
    topP: defaults["top_p"] ?? unset.topP,
    topK: defaults["top_k"] ?? unset.topK,
    minP: defaults["min_p"] ?? unset.minP,
    repetitionPenalty: defaults["repetition_penalty"] ?? unset.repetitionPenalty,
    maxTokens: defaults["max_new_tokens"] ?? unset.maxTokens,
  }
  try {
    validateSampling(defaultSamplingParams(values), model)
  } catch (error) {
    if (!(error instanceof RequestError)) throw error
    // Requests and the config have different names for one of them.
    const words = error.message.replace(/^max_tokens\b/, "max_new_tokens").replace(/\.$/, "")
    throw new ConfigError(
      `generation config: ${words}. HINT: --override-generation-config sets another value, ` +
        "--generation-config vllm leaves out the model's",
    )
  }
}
