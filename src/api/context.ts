/** What every endpoint gets: the engine, and how the server was asked to behave. */
import packageJson from "../../package.json" with { type: "json" }
import { makeLog } from "../base/log.ts"
import type { Log } from "../base/log.ts"
import type { EngineClient } from "../engine/engine-client.ts"
import type { HttpMetrics } from "./http-metrics.ts"

export interface ApiOptions {
  /** Of this program; part of `system_fingerprint` and of /version. */
  readonly version: string
  /** Any of them opens every route but /health. Empty: no key is asked for. */
  readonly apiKeys: readonly string[]
  /** A larger request body is refused with 413 before it is read into memory. */
  readonly maxBodyBytes: number
  /** Path prefix under which a proxy shows this server, such as "/llm"; "" for none. */
  readonly rootPath: string
  /** The role of generated chat messages. */
  readonly responseRole: string
  /** Lets a request bring its own chat template. */
  readonly trustRequestChatTemplate: boolean
  /** Writes tokens of log-probabilities as "token_id:123" where the request does not say. */
  readonly returnTokensAsTokenIds: boolean
  /** Variables for the chat template; a request's `chat_template_kwargs` win. */
  readonly defaultChatTemplateKwargs: Readonly<Record<string, unknown>>
  /** Answers with the X-Request-Id header that came, or with one made up. */
  readonly enableRequestIdHeaders: boolean
  /** A comment line is sent on a stream that has been quiet for this long; 0 sends none. */
  readonly sseKeepAliveMs: number
  /** Adds endpoints for developers, such as /reset_prefix_cache. */
  readonly devMode: boolean
  /** Prints the line about each answered request, /health and /metrics left out. */
  readonly accessLog: boolean
  /** Where lines for the operator go. */
  readonly log: Log
}

export const DEFAULT_API_OPTIONS: ApiOptions = {
  version: packageJson.version,
  apiKeys: [],
  maxBodyBytes: 64 * 1024 * 1024,
  rootPath: "",
  responseRole: "assistant",
  trustRequestChatTemplate: false,
  returnTokensAsTokenIds: false,
  defaultChatTemplateKwargs: {},
  enableRequestIdHeaders: false,
  sseKeepAliveMs: 0,
  devMode: true,
  accessLog: true,
  log: makeLog(),
}

export interface ApiContext {
  readonly client: EngineClient
  readonly options: ApiOptions
  readonly fingerprint: string
  readonly httpMetrics: HttpMetrics
}
