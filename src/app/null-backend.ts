/** An engine's config with its kernels taken away: what is left is the cost of everything else. */
import { locateLibraries } from "../cli/libraries.ts"
import type { EngineConfig, EngineStart } from "../exec/engine-config.ts"

/** `libDir` as in `locateLibraries`. Errors: `ConfigError`. */
export function onNullBackend(config: EngineStart, libDir: string | null): EngineConfig {
  return { ...config, isa: null, numThreads: 1, libraries: { cpu: locateLibraries(libDir).null, preload: [] } }
}
