import type { Architecture } from "./architecture.ts"
import { findArchitecture } from "./arch/index.ts"
import { ConfigReader } from "./config.ts"
import { readStoredScheme, STORED_SCHEME_KEY, type StoredScheme } from "./stored-scheme.ts"
import { refuseQuantized } from "./stored-quantization.ts"
import type { ModelTraits } from "./traits.ts"

/** An architecture with what it makes of a config. */
export interface ConfiguredModel {
  readonly architecture: Architecture<unknown>
  /** Plain data, the architecture's own: two configs of one model are equal. */
  readonly config: unknown
  readonly traits: ModelTraits
  /** How the weights of products are stored, where it is not as floats. */
  readonly scheme: StoredScheme | null
}

/**
 * What config.json says, or what `--hf-overrides` made of it.
 *
 * Errors: `ConfigError`. Of several reasons why a model cannot be served the most general is told: the format of its
 * weights, its architecture, a value, a key that is not understood.
 */
export function readModelConfig(values: Readonly<Record<string, unknown>>): ConfiguredModel {
  const scheme = readStoredScheme(values)
  if (scheme === null) refuseQuantized(values)
  const architecture = findArchitecture(values)
  const reader = new ConfigReader(values)
  const config = architecture.config(reader)
  reader.assertAllUnderstood(scheme === null ? undefined : new Set([STORED_SCHEME_KEY]))
  return { architecture, config, traits: architecture.traits(config), scheme }
}
