/**
 * `baozi serve`: engine, then HTTP on top, until a signal or the engine's death ends it.
 */
import { checkAddress, startServer } from "../../api/http/server.ts"
import { startOptions } from "../../app/engine-options.ts"
import { serverOptions } from "../../app/server-options.ts"
import { startEngine } from "../../app/start-engine.ts"
import { startTextThreads } from "../../app/start-text-threads.ts"
import { startTraceExport } from "../../app/trace-export.ts"
import { makeLog, type Log } from "../../base/log.ts"
import { redirectConsole } from "../../base/redirect-console.ts"
import { endProcess, stderr } from "../../base/standard-streams.ts"
import type { EngineClient } from "../../engine/engine-client.ts"
import { chooseParsers } from "../../text/answer/choose-parsers.ts"
import { VERSION } from "../index.ts"
import type { ServeConfig } from "../serve-options.ts"

/** What a program that Ctrl-C ended says. */
const EXIT_INTERRUPTED = 130

/** Resolves with the exit code. Errors: `ConfigError`. */
export async function serve(config: ServeConfig): Promise<number> {
  const startedMs = performance.now()
  const log = makeLog({ level: config.logLevel, json: config.logFormat === "json" })
  redirectConsole((level, line) => log[level](line))
  const signal = firstSignal(log)
  const http = serverOptions(config, log)
  await checkAddress(http)
  const engineOptions = startOptions(config, log)
  const loading = startEngine(engineOptions)
  const early = await Promise.race([loading.then(() => null), signal])
  if (early !== null) {
    // The thread that loads is in native code, and ends with the process.
    loading.catch(() => {})
    log.info(`stopping: ${early}, before the model was loaded`)
    return 0
  }
  const engine = await loading
  const { tokenizerPath, engine: { modelPath } } = engineOptions
  const textThreads = startTextThreads({ tokenizerPath, modelPath })
  const traces = startTraceExport({
    endpoint: config.otlpTracesEndpoint, version: VERSION, model: engine.model.servedNames[0] ?? engine.model.root,
    env: process.env, log,
  })
  const parsers = chooseParsers(config, engine)
  log.info(`chats: tool calls are parsed as ${parsers.toolParser ?? "text"}, reasoning as ${
    parsers.reasoningParser ?? "text"}`)
  const server = await startServer({ ...http, ...parsers, textThreads, onRecord: traces.onRecord }, engine)
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(2)
  log.info(`ready in ${seconds} s: serving ${engine.model.servedNames.join(", ")} on ${server.url}, API pages at /docs`)
  const reason = await untilTheEnd(engine, signal, log)
  const hasDied = engine.deathReason() !== null
  log[hasDied ? "error" : "info"](`stopping: ${reason}`)
  await engine.shutdown(config.shutdownTimeout * 1000)
  await server.stop()
  textThreads.texts.stop()
  textThreads.templates.stop()
  await traces.stop()
  return hasDied ? 1 : 0
}

/** Resolves with what ends the server: a signal, or the engine's death; it is started again once. */
async function untilTheEnd(engine: EngineClient, signal: Promise<string>, log: Log): Promise<string> {
  const reason = await Promise.race([signal, engine.death])
  if (engine.deathReason() === null) return reason
  log.error(`${reason}. Its requests have failed; it is started again, this once`)
  const restarted = engine.restart().then(() => null, (error: Error) => `it cannot be started again: ${error.message}`)
  const failure = await Promise.race([signal, restarted])
  if (failure !== null) return failure
  log.info("the engine works again")
  return Promise.race([signal, engine.death])
}

/** The first signal asks for an orderly end; a second one ends the process at once. */
function firstSignal(log: Log): Promise<string> {
  return new Promise((resolve) => {
    let isStopping = false
    for (const name of ["SIGINT", "SIGTERM"] as const) {
      process.on(name, () => {
        if (isStopping) {
          log.warning(`${name} again: ending now`)
          return void endProcess(EXIT_INTERRUPTED)
        }
        isStopping = true
        resolve(name)
      })
    }
  })
}
