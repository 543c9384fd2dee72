/** The whole server but its sockets, in this process: a model behind the same application that HTTP gets to. */
import { createApp } from "../api/app.ts"
import { makeLog } from "../base/log.ts"
import type { ServeConfig } from "../cli/serve-options.ts"
import { NO_LIMITS } from "../engine/admission.ts"
import { startOptions } from "./engine-options.ts"
import { serverOptions } from "./server-options.ts"
import { startEngine } from "./start-engine.ts"
import { chooseParsers } from "../text/answer/choose-parsers.ts"

export interface LocalApp {
  /** The name that the model answers to. */
  readonly model: string
  handle(request: Request): Promise<Response>
  /** Null while the engine lives. */
  deathReason(): string | null
  stop(): Promise<void>
}

/** Warnings go to stderr, nothing else does. Errors: `ConfigError`. */
export async function startLocalApp(config: ServeConfig): Promise<LocalApp> {
  const log = makeLog({ level: "warning" })
  const options = { ...startOptions(config, log), limits: NO_LIMITS, onStats: () => {} }
  const engine = await startEngine(options)
  const { host: _host, port: _port, uds: _uds, ...api } = serverOptions(config, log)
  // Keys guard sockets. The endpoints for developers would let a line of a batch reset the cache under the others.
  const app = createApp({ ...api, ...chooseParsers(config, engine), apiKeys: [], devMode: false }, engine)
  return {
    model: engine.model.servedNames[0] ?? engine.model.root,
    handle: (request) => app.handle(request),
    deathReason: () => engine.deathReason(),
    stop: () => engine.shutdown(0),
  }
}
