import type { Architecture } from "./architecture.ts"
import { findArchitecture } from "./arch/index.ts"
import { ConfigReader, type ModelConfig } from "./config.ts"
import { refuseQuantized } from "./stored-quantization.ts"

/**
 * What config.json says, or what `--hf-overrides` made of it.
 *
 * Errors: `ConfigError`. Of several reasons why a model cannot be served the most general is told: the format of its
 * weights, its architecture, a value, a key that is not understood.
 */
export function readModelConfig(
  values: Readonly<Record<string, unknown>>,
): { readonly architecture: Architecture; readonly config: ModelConfig } {
  refuseQuantized(values)
  const architecture = findArchitecture(values)
  const reader = new ConfigReader(values)
  const config = architecture.config(reader)
  reader.assertAllUnderstood()
  return { architecture, config }
}
