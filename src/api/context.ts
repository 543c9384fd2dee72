/** What every endpoint gets: the engine, and how the server was asked to behave. */
import packageJson from "../../package.json" with { type: "json" }
import type { JsonLimits } from "../base/json-scan.ts"
import { makeLog } from "../base/log.ts"
import type { Log } from "../base/log.ts"
import type { EngineClient } from "../engine/engine-client.ts"
import type { AnswerKinds, ParserNames } from "./chat/answer-kinds.ts"
import type { PrefixHistory } from "./cache-miss/prefix-history.ts"
import type { CorsOptions } from "./http/cors.ts"
import type { HttpMetrics } from "./observe/http-metrics.ts"
import type { LogOnce } from "./observe/log-once.ts"
import { DEFAULT_BODY_LIMITS } from "./http/parse-body.ts"
import type { RecordListener } from "./observe/request-record.ts"
import { DEFAULT_REQUEST_LIMITS } from "./http/request-limits.ts"
import type { RequestLimits } from "./http/request-limits.ts"
import type { ResumeLimits, StreamStore } from "./http/resumable.ts"
import type { ResponseStoreLimits } from "./responses/store.ts"
import type { TextThreads, TextWork } from "./work/text-work.ts"

export interface ApiOptions extends ParserNames {
  /** Of this program; part of `system_fingerprint` and of /version. */
  readonly version: string
  /** Any of them opens every route. Empty: no key is asked for. */
  readonly apiKeys: readonly string[]
  /** Asks for a key on /health, /ready and /metrics too. */
  readonly guardsEveryRoute: boolean
  /** Which web pages may call this server. */
  readonly cors: CorsOptions
  /** Names that requests may call the server by where no key is asked for, beside addresses and localhost. */
  readonly allowedHosts: readonly string[]
  /** A larger request body is refused with 413 before it is read into memory. */
  readonly maxBodyBytes: number
  /** What a body may hold; more is refused with 400 before it is parsed. */
  readonly bodyLimits: JsonLimits
  readonly requestLimits: RequestLimits
  /** Do what takes long away from this thread; null: all of it is done here. */
  readonly textThreads: TextThreads | null
  /** Path prefix under which a proxy shows this server, such as "/llm"; "" for none. */
  readonly rootPath: string
  /** The role of generated chat messages. */
  readonly responseRole: string
  /** Shows the model no tools where `tool_choice` is "none". */
  readonly excludeToolsWhenToolChoiceNone: boolean
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
  /** How much of streams without a connection is kept. */
  readonly streamResume: ResumeLimits
  /** How many responses /v1/responses keeps, and how much of them. */
  readonly responseStore: ResponseStoreLimits
  /** Adds the endpoints that steer the engine, such as /sleep. */
  readonly devMode: boolean
  /** Adds /tokenizer_info. */
  readonly enableTokenizerInfo: boolean
  /** What /server_info tells: the flags, without keys; variables of the environment that matter; the machine. */
  readonly serverInfo: Readonly<Record<"config" | "env" | "system", Readonly<Record<string, unknown>>>>
  /** Gives every answer its `metrics`, not only those whose request asks for them. */
  readonly enablePerRequestMetrics: boolean
  /** Tells in the debug log where each prompt first differs from the best cached prefix. */
  readonly logsCacheMisses: boolean
  /** Prints a line about each request, /health and /metrics left out. */
  readonly accessLog: boolean
  /** Paths that are left out of it too. */
  readonly quietPaths: readonly string[]
  /** Hears what became of each request that made the engine work. */
  readonly onRecord: RecordListener
  /** Where lines for the operator go. */
  readonly log: Log
  /** How many of those lines were dropped so far, for want of a reader. */
  readonly numDroppedLogLines: () => number
}

export const DEFAULT_API_OPTIONS: ApiOptions = {
  version: packageJson.version,
  apiKeys: [],
  guardsEveryRoute: false,
  cors: { allowedOrigins: [], allowedMethods: ["*"], allowedHeaders: ["*"], allowCredentials: false },
  allowedHosts: [],
  maxBodyBytes: 64 * 1024 * 1024,
  bodyLimits: DEFAULT_BODY_LIMITS,
  requestLimits: DEFAULT_REQUEST_LIMITS,
  textThreads: null,
  rootPath: "",
  responseRole: "assistant",
  reasoningParser: null,
  toolParser: null,
  excludeToolsWhenToolChoiceNone: false,
  trustRequestChatTemplate: false,
  returnTokensAsTokenIds: false,
  defaultChatTemplateKwargs: {},
  enableRequestIdHeaders: false,
  sseKeepAliveMs: 0,
  streamResume: { seconds: 30, bytes: 2 ** 20 },
  responseStore: { maxResponses: 1024, maxBytes: 256 * 1024 * 1024 },
  devMode: true,
  enableTokenizerInfo: true,
  serverInfo: { config: {}, env: {}, system: {} },
  enablePerRequestMetrics: false,
  logsCacheMisses: false,
  accessLog: true,
  quietPaths: [],
  onRecord: () => {},
  log: makeLog(),
  numDroppedLogLines: () => 0,
}

export interface ApiContext {
  readonly client: EngineClient
  readonly options: ApiOptions
  readonly fingerprint: string
  readonly httpMetrics: HttpMetrics
  readonly streams: StreamStore
  /** What the prefix cache has been given. */
  readonly prefixHistory: PrefixHistory
  readonly answers: AnswerKinds
  /** Tells the operator what requests asked for and did not get. */
  readonly warnOnce: LogOnce
  /** Where bodies are parsed, conversations rendered, and texts encoded and decoded. */
  readonly work: TextWork
}
