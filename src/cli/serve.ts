import { ConfigError } from "../base/errors.ts"
import { makeLog } from "../base/log.ts"
import { findDefaultModel } from "./default-model.ts"
import { locateLibraries } from "./libraries.ts"
import type { ServeConfig } from "./serve-options.ts"

/** Serves until a signal ends it. Resolves with the exit code. Errors: `ConfigError`. */
export async function serve(config: ServeConfig): Promise<number> {
  const log = makeLog({ level: config.logLevel, json: config.logJson })
  const model = config.model ?? findDefaultModel()
  const libraries = locateLibraries(config.libDir)
  log.debug("kernel library", { path: libraries.cpu })
  // The engine and the HTTP server are started here.
  throw new ConfigError(`cannot serve ${model}: this build has no engine`)
}
