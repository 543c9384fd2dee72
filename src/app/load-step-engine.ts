/** An engine on this thread, for measuring. */
import { preloadLibraries } from "../../ffi/preload.ts"
import { measureLimits, type MachineLimits } from "../bench/machine-limits.ts"
import { StepEngine } from "../bench/step-engine.ts"
import type { ServeConfig } from "../cli/serve-options.ts"
import { systemMemory } from "../exec/system-memory.ts"
import { engineConfig, modelPathOf } from "./engine-options.ts"

export function loadStepEngine(config: ServeConfig): StepEngine {
  const options = engineConfig(config, modelPathOf(config))
  preloadLibraries(options.libraries.preload)
  return StepEngine.load(options)
}

/** Runs `measure` with the engine loaded and the machine's limits just measured. */
export function withStepEngine<T>(config: ServeConfig, measure: (engine: StepEngine, limits: MachineLimits) => T): T {
  const engine = loadStepEngine(config)
  try {
    return measure(engine, measureLimits(engine.model.stream, systemMemory().availableBytes))
  } finally {
    engine.dispose()
  }
}
