/**
 * The flags of `baozi serve`: one table for their spelling (vLLM's), meaning, default and checks. `ServeConfig` is what
 * the table yields; nothing else knows a default.
 */
import { ConfigError } from "../base/errors.ts"
import { LOGPROBS_MODES, type LogprobsMode } from "../core/logprobs-mode.ts"
import { parseBuckets, type MetricBuckets } from "../engine/metric-buckets.ts"
import type { Chosen } from "../text/answer/choose-parsers.ts"
import { REASONING_PARSERS, type ReasoningParserName } from "../text/answer/reasoning-formats.ts"
import { TOOL_PARSERS, type ToolParserName } from "../text/answer/tool-formats.ts"
import { optional, several, toggle, toggleAuto, toggleOn, value, type Flag, type ValuesOf } from "./flags.ts"
import {
  commaSeparated, integer, jsonObject, jsonStrings, oneOf, orAuto, share, speculation, text,
} from "./parse-values.ts"

export const MODEL = "Model:"
const SERVER = "Server:"
export const SCHEDULER = "Scheduler:"
export const MEMORY = "Memory:"
const REQUESTS = "Requests:"
export const MACHINE = "Machine:"
const LOGGING = "Logging:"

/** What people still take for a pause; a piece of a prompt that takes so long is computed as fast as the whole. */
const DEFAULT_MAX_ITL_MS = 1000

export const SERVE_FLAGS = {
  servedModelName: several(MODEL, "--served-model-name <names...>", text,
    "model names accepted in requests; responses carry the first (default: the model as given)"),
  tokenizer: optional(MODEL, "--tokenizer <path>", text,
    "directory or file of a tokenizer (default: the model's own)"),
  chatTemplate: optional(MODEL, "--chat-template <name, path or text>", text,
    "chat template for all chats: the name of one of the model's own, a file, or Jinja source " +
      "(default: the model's own; the one named tool_use for chats with tools, rag for chats with documents)"),
  generationConfig: value(MODEL, "--generation-config <auto|vllm|path>", "auto", text,
    "source of sampling defaults: auto, the model's generation_config.json; vllm, none; or a directory"),
  overrideGenerationConfig: value<Readonly<Record<string, unknown>>>(MODEL, "--override-generation-config <json>", {},
    jsonObject, "sampling defaults that override --generation-config, such as {\"temperature\": 0.5}"),
  hfOverrides: value<Readonly<Record<string, unknown>>>(MODEL, "--hf-overrides <json>", {}, jsonObject,
    "keys of config.json to set, or to remove with null: {\"rope_scaling\": {\"rope_type\": \"yarn\", \"factor\": 4}}"),
  maxModelLen: optional(MODEL, "--max-model-len <tokens|auto>", orAuto(integer({ min: 1 })),
    "maximum tokens of one request, prompt and output; 4k is 4000, 4K is 4096 " +
      "(default: what the model allows, or less where memory has no room for it)"),
  dtype: value<"auto" | "float32" | "bfloat16" | "float16">(MODEL, "--dtype <type>", "auto",
    oneOf("auto", "float32", "bfloat16", "float16"), "compute type; auto keeps quantized weights quantized"),
  quantization: optional<"int8" | "int4">(MODEL, "--quantization <int8|int4>", oneOf("int8", "int4"),
    "quantize a floating-point checkpoint at load, one scale for 32 values: int8 loses almost no quality, " +
      "int4 is smaller and faster (default: weights are used as stored)"),
  activationBits: value<8 | 12>(MODEL, "--activation-bits <8|12>", 12, activationBits,
    "bits of activations multiplied with int8 and int4 weights: 12 is as accurate as the weights are, " +
      "8 is faster for prefill and large batches"),
  offline: toggle(MODEL, "--offline", "never use the network; always the case in this version"),

  host: value(SERVER, "--host <address>", "127.0.0.1", text, "address to listen on; 0.0.0.0 for all"),
  port: value(SERVER, "--port <number>", 8000, integer({ min: 0, max: 65535 }),
    "port to listen on; 0 picks a free one"),
  uds: optional(SERVER, "--uds <path>", text, "listen on this Unix domain socket instead of host and port"),
  rootPath: value(SERVER, "--root-path <path>", "", rootPath, "path prefix of a reverse proxy, stripped or not"),
  apiKey: several(SERVER, "--api-key <keys...>", text,
    "API keys; a request must carry one of them (default: BAOZI_API_KEY or VLLM_API_KEY, else none is asked for)"),
  apiKeyFile: optional(SERVER, "--api-key-file <path>", text,
    "file with further keys, one a line; unlike flags it is not visible to other users of the machine"),
  apiKeyEverywhere: toggle(SERVER, "--api-key-everywhere", "require a key on /health, /ready and /metrics too"),
  allowedOrigins: several(SERVER, "--allowed-origins <origins...>", wordOrJsonList,
    "web origins allowed to call the API, such as https://app.example; * for all (default: none)"),
  allowedHosts: several(SERVER, "--allowed-hosts <hosts...>", wordOrJsonList,
    "Host names accepted when no key is set, beside addresses and localhost, such as " +
      "llm.example or llm.example:8000; * for any (default: that of --host)"),
  allowedMethods: several(SERVER, "--allowed-methods <methods...>", wordOrJsonList,
    "methods allowed to those origins (default: all)"),
  allowedHeaders: several(SERVER, "--allowed-headers <headers...>", wordOrJsonList,
    "headers allowed to those origins (default: all)"),
  allowCredentials: toggle(SERVER, "--allow-credentials", "allow those origins cookies and HTTP authentication"),
  enableRequestIdHeaders: toggle(SERVER, "--enable-request-id-headers",
    "return the request's X-Request-Id header, or a generated one"),
  ssePingInterval: value(SERVER, "--sse-ping-interval <seconds>", 15, integer({ min: 0, max: 3600 }),
    "interval of comments on an idle stream, which keep proxies from closing it; 0 disables them"),
  streamResumeSeconds: value(SERVER, "--stream-resume-seconds <seconds>", 30, integer({ min: 0, max: 86400 }),
    "how long a resumable stream continues without a connection; 0 keeps none"),
  streamResumeBytes: value(SERVER, "--stream-resume-bytes <bytes>", 2 ** 20, integer({ min: 1024, max: 2 ** 30 }),
    "bytes of events kept for each resumable stream"),
  enableDevEndpoints: toggleAuto(SERVER, "--enable-dev-endpoints",
    "serve /sleep, /pause, /reset_prefix_cache, /abort_requests, /server_info and similar endpoints " +
      "(default: where a key is asked for, or only this machine can connect)"),
  enableTokenizerInfoEndpoint: toggleOn(SERVER, "--enable-tokenizer-info-endpoint",
    "serve /tokenizer_info, the chat template included"),
  maxBodyBytes: value(SERVER, "--max-body-bytes <bytes>", 64 * 2 ** 20, integer({ min: 1024 }),
    "largest request body; a larger one gets 413"),
  maxBodyValues: value(SERVER, "--max-body-values <number>", 2 ** 17, integer({ min: 16, max: 2 ** 26 }),
    "maximum values in a request body, counting field names, and a list of numbers as one; more get 400"),
  maxBodyNumbers: value(SERVER, "--max-body-numbers <number>", 2 ** 21, integer({ min: 16, max: 2 ** 26 }),
    "maximum numbers in its lists of numbers, such as token ids"),
  maxBodyDepth: value(SERVER, "--max-body-depth <number>", 200, integer({ min: 8, max: 200 }),
    "maximum nesting of a request body"),
  timeoutKeepAlive: value(SERVER, "--timeout-keep-alive <seconds>", 60, integer({ min: 1, max: 255 }),
    "timeout of a connection that is idle between requests or within a request's body"),
  sslCertfile: optional(SERVER, "--ssl-certfile <path>", text, "PEM file of the server's certificate; enables https"),
  sslKeyfile: optional(SERVER, "--ssl-keyfile <path>", text, "PEM file of the certificate's private key"),
  sslCaCerts: optional(SERVER, "--ssl-ca-certs <path>", text,
    "PEM file of authorities that must have signed client certificates (default: clients need no certificate)"),
  shutdownTimeout: value(SERVER, "--shutdown-timeout <seconds>", 30, integer({ min: 0, max: 86400 }),
    "time for running requests to finish after SIGTERM or SIGINT; a second signal ends them at once"),

  maxNumBatchedTokens: value(SCHEDULER, "--max-num-batched-tokens <tokens>", 2048, integer({ min: 1 }),
    "token budget of one step, over all requests"),
  maxNumSeqs: value(SCHEDULER, "--max-num-seqs <requests>", 128, integer({ min: 1 }),
    "maximum running requests"),
  longPrefillTokenThreshold: value(SCHEDULER, "--long-prefill-token-threshold <tokens>", 0, integer({ min: 0 }),
    "maximum prompt tokens of one request per step while others wait; 0 for no limit"),
  schedulingPolicy: value<"fcfs" | "priority">(SCHEDULER, "--scheduling-policy <policy>", "fcfs",
    oneOf("fcfs", "priority"), "fcfs, in order of arrival; priority, by the request's `priority`, lowest first"),
  priorityAgeingSeconds: value(SCHEDULER, "--priority-ageing-seconds <seconds>", 60, integer({ min: 0, max: 86400 }),
    "waiting time that counts as one level of priority, so that no request starves under the priority policy; " +
      "0 disables it"),
  maxItlMs: optional(SCHEDULER, "--max-itl-ms <milliseconds>", integer({ min: 0, max: 600_000 }),
    "target for the inter-token latency of running streams, which bounds chunks of long prompts; " +
      `0 for none (default: ${DEFAULT_MAX_ITL_MS} with chunked prefill)`),
  speculativeConfig: optional(SCHEDULER, "--speculative-config <json>", speculation,
    'draft tokens and verify several at a time, with the same results: {"method": "ngram", "num_speculative_tokens": ' +
      '8, "prompt_lookup_min": 2, "prompt_lookup_max": 5}, or {"method": "suffix"}; text that repeats gets faster'),
  enablePrefixCaching: toggleOn(SCHEDULER, "--enable-prefix-caching", "reuse the KV blocks of prompts seen before"),
  enableChunkedPrefill: toggleOn(SCHEDULER, "--enable-chunked-prefill", "compute a long prompt over several steps"),
  maxWaitingRequests: value(SCHEDULER, "--max-waiting-requests <requests>", 1024, integer({ min: 1 }),
    "maximum waiting requests; more get 429"),
  maxRequestsPerKey: optional(SCHEDULER, "--max-requests-per-key <requests>", integer({ min: 1 }),
    "maximum unfinished requests of one API key; more get 429 (n counts n)"),
  maxNumQueuedReqs: optional(SCHEDULER, "--max-num-queued-reqs <requests>", integer({ min: 1 }),
    "maximum unfinished requests, waiting and running; more get 503 (n counts n)"),
  maxNumQueuedTokens: optional(SCHEDULER, "--max-num-queued-tokens <tokens>", integer({ min: 1 }),
    "maximum prompt tokens waiting to be computed; more get 503"),

  kvCacheDtype: value<"auto" | "float32" | "bfloat16">(MEMORY, "--kv-cache-dtype <type>", "auto",
    oneOf("auto", "float32", "bfloat16"), "type of the KV cache; auto is bfloat16, or float32 with --dtype float32"),
  blockSize: value(MEMORY, "--block-size <tokens>", 128, integer({ min: 16, max: 4096, multipleOf: 16 }),
    "tokens in a KV block, a multiple of 16"),
  kvCacheMemoryBytes: optional(MEMORY, "--kv-cache-memory-bytes <bytes>", integer({ min: 1 }),
    "memory for the KV cache: 2G, 512M"),
  gpuMemoryUtilization: optional(MEMORY, "--gpu-memory-utilization <share>", share,
    "share of the machine's memory for weights, scratch and KV cache together " +
      "(default: a KV cache of half of what is free after the weights, 4 GiB at most)"),
  numGpuBlocksOverride: optional(MEMORY, "--num-gpu-blocks-override <blocks>", integer({ min: 2 }),
    "number of KV blocks, instead of what memory allows"),

  maxLogprobs: value(REQUESTS, "--max-logprobs <number>", 20, integer({ min: -1 }),
    "maximum `logprobs` of a request; -1 for the whole vocabulary"),
  logprobsMode: value<LogprobsMode>(REQUESTS, "--logprobs-mode <mode>", "raw_logprobs", oneOf(...LOGPROBS_MODES),
    "what log-probabilities report: raw_*, the model's output; processed_*, the distribution that was sampled; " +
      "*_logprobs or *_logits"),
  logitsProcessors: value<readonly string[]>(REQUESTS, "--logits-processors <paths>", [], commaSeparated,
    "TypeScript or JavaScript modules that change every request's logits, separated by commas; " +
      "see docs/logits-processors.md"),
  streamInterval: value(REQUESTS, "--stream-interval <tokens>", 1, integer({ min: 1 }),
    "minimum tokens per chunk of a stream, except the first and the last; requests may ask for more"),
  reasoningConfig: value<Readonly<Record<string, unknown>>>(REQUESTS, "--reasoning-config <json>", {}, jsonObject,
    "marks that begin and end the model's reasoning, for thinking_token_budget: " +
      "{\"reasoning_start_str\": \"<think>\", \"reasoning_end_str\": \"</think>\"} " +
      "(default: the reasoning parser's, else these, where the vocabulary has them)"),
  seed: optional(REQUESTS, "--seed <number>", integer({ min: 0, max: 2 ** 32 - 1 }),
    "seed for requests without one, for repeatable runs (default: they differ)"),
  maxN: value(REQUESTS, "--max-n <number>", 16384, integer({ min: 1, max: 16384 }), "maximum `n` of a request"),
  maxPrompts: value(REQUESTS, "--max-prompts <number>", 1024, integer({ min: 1 }),
    "maximum prompts of one completion"),
  maxMessages: value(REQUESTS, "--max-messages <number>", 10_000, integer({ min: 1 }),
    "maximum messages of one chat"),
  maxStopStrings: value(REQUESTS, "--max-stop-strings <number>", 128, integer({ min: 0, max: 1024 }),
    "maximum stop strings of one request"),
  maxStopLength: value(REQUESTS, "--max-stop-length <characters>", 4096, integer({ min: 1, max: 2 ** 20 }),
    "maximum length of a stop string"),
  responseRole: value(REQUESTS, "--response-role <role>", "assistant", text, "role of generated chat messages"),
  maxStoredResponses: value(REQUESTS, "--max-stored-responses <number>", 1024, integer({ min: 0 }),
    "maximum responses kept by /v1/responses, least recently used evicted; 0 keeps none"),
  maxStoredResponseBytes: value(REQUESTS, "--max-stored-response-bytes <bytes>", 256 * 2 ** 20, integer({ min: 0 }),
    "maximum bytes of stored responses, with the conversations before them"),
  trustRequestChatTemplate: toggle(REQUESTS, "--trust-request-chat-template", "accept chat templates in requests"),
  defaultChatTemplateKwargs: value<Readonly<Record<string, unknown>>>(REQUESTS, "--default-chat-template-kwargs <json>",
    {}, jsonObject,
    "variables for the chat template, such as {\"enable_thinking\": false}; a request's own take precedence"),
  returnTokensAsTokenIds: toggle(REQUESTS, "--return-tokens-as-token-ids",
    "write tokens in logprobs as \"token_id:123\", exact even where their text is not"),
  enablePromptTokensDetails: toggle(REQUESTS, "--enable-prompt-tokens-details",
    "report cached prompt tokens in `usage`; always on here"),
  enablePerRequestMetrics: toggle(REQUESTS, "--enable-per-request-metrics",
    "include `metrics` (times, counts) in every answer, not only for requests with return_metrics"),
  reasoningParser: value<Chosen<ReasoningParserName>>(
    REQUESTS, "--reasoning-parser <name>", "auto", oneOf("auto", "none", ...REASONING_PARSERS),
    "format of the model's reasoning, which is parsed out of chat answers; auto: found from the chat template. " +
      `One of none, ${REASONING_PARSERS.join(", ")}`),
  enableAutoToolChoice: toggle(REQUESTS, "--enable-auto-tool-choice",
    "accepted for compatibility with vLLM: tool calls are parsed unless --tool-call-parser is none"),
  toolCallParser: value<Chosen<ToolParserName>>(
    REQUESTS, "--tool-call-parser <name>", "auto", oneOf("auto", "none", ...TOOL_PARSERS),
    "format of the model's tool calls; auto: found from the chat template. " +
      `One of none, ${TOOL_PARSERS.join(", ")}`),
  excludeToolsWhenToolChoiceNone: toggle(REQUESTS, "--exclude-tools-when-tool-choice-none",
    "omit tools from the prompt when tool_choice is none"),

  threads: value(MACHINE, "--threads <number>", 0, integer({ min: 0, max: 1024 }),
    "compute threads; 0 for as many as this process may use processors"),
  isa: optional(MACHINE, "--isa <level>", text,
    "instruction set of the kernels, instead of the best available: amx, avx512_vnni, avx512, avx2, " +
      "scalar; an unavailable one is an error (default: BAOZI_ISA, else the best)"),
  libDir: optional(MACHINE, "--lib-dir <path>", text,
    "directory to which the embedded kernel libraries are written (default: BAOZI_LIB_DIR, else the user's cache)"),

  logLevel: value<"debug" | "info" | "warning" | "error">(LOGGING, "--log-level <level>", "info",
    oneOf("debug", "info", "warning", "error"), "minimum level of log lines"),
  logFormat: value<"text" | "json">(LOGGING, "--log-format <format>", "text", oneOf("text", "json"),
    "text, or json for one object per line"),
  enableLogRequests: toggle(LOGGING, "--enable-log-requests", "log each request's parameters, not its prompt"),
  disableAccessLog: toggle(LOGGING, "--disable-access-log", "disable the line per request"),
  disableAccessLogForEndpoints: value<readonly string[]>(LOGGING, "--disable-access-log-for-endpoints <paths>", [],
    pathList, "paths without a line per request, separated by commas, beside /health, /ready, /metrics and /ping"),
  disableLogStats: toggle(LOGGING, "--disable-log-stats",
    "disable lines of throughput and load; /metrics is not affected"),
  logStatsInterval: value(LOGGING, "--log-stats-interval <seconds>", 10, integer({ min: 1, max: 86400 }),
    "interval of lines of throughput and load, while requests run"),
  otlpTracesEndpoint: optional(LOGGING, "--otlp-traces-endpoint <url>", otlpEndpoint,
    "send a trace of each request to this OpenTelemetry collector, over HTTP: http://127.0.0.1:4318/v1/traces"),
  kvCacheMetrics: toggle(LOGGING, "--kv-cache-metrics", "measure the residency of KV blocks, on /metrics"),
  kvCacheMetricsSample: value(LOGGING, "--kv-cache-metrics-sample <share>", 0.01, share, "share of blocks measured"),
  customHistogramBuckets: value<Partial<MetricBuckets>>(LOGGING, "--custom-histogram-buckets <json>", {},
    (word, flag) => parseBuckets(jsonObject(word, flag)),
    "bounds of /metrics' histograms, by family: {\"request_latency\": [0.1, 1, 10]}; families are request_latency, " +
      "time_to_first_token, inter_token_latency, iteration_tokens, request_params_n, request_num_preemptions, " +
      "request_tokens, kv_cache_residency"),
} as const satisfies Record<string, Flag<unknown>>

/** Everything `baozi serve` was told, checked. A null is "not given". */
export type ServeConfig = ValuesOf<typeof SERVE_FLAGS> & {
  /** A GGUF file or a model directory; null is the default model. */
  readonly model: string | null
}

/** vLLM takes JSON lists where others take words. */
function wordOrJsonList(word: string, flag: string): string | readonly string[] {
  if (!word.startsWith("[")) return text(word, flag)
  return jsonStrings(word, flag)
}

function activationBits(word: string, flag: string): 8 | 12 {
  if (word !== "8" && word !== "12") throw new ConfigError(`${flag} is ${word}, but must be 8 or 12`)
  return word === "8" ? 8 : 12
}

function rootPath(path: string, flag: string): string {
  if (path !== "" && !/^\/[^?#\s]*[^/?#\s]$/.test(path))
    throw new ConfigError(`${flag} is ${JSON.stringify(path)}, but must start with a slash and not end with one`)
  return path
}

/** Where the URL names no path, the one that OpenTelemetry gives to traces. */
function otlpEndpoint(word: string, flag: string): string {
  const url = URL.parse(word)
  if (url === null || (url.protocol !== "http:" && url.protocol !== "https:"))
    throw new ConfigError(
      `${flag} is ${JSON.stringify(word)}, but must be an http or https URL such as http://127.0.0.1:4318/v1/traces`,
    )
  return url.pathname === "/" ? new URL("/v1/traces", url).href : url.href
}

function pathList(list: string, flag: string): readonly string[] {
  const paths = list.split(",").map((path) => path.trim()).filter((path) => path !== "")
  const bad = paths.find((path) => !path.startsWith("/"))
  if (bad !== undefined || paths.length === 0)
    throw new ConfigError(`${flag} is ${JSON.stringify(list)}, but must be paths such as /health,/v1/models`)
  return paths
}

/** Flags that vLLM spells in two ways. */
export const FLAG_ALIASES: Readonly<Record<string, string>> = {
  "--device-memory-utilization": "--gpu-memory-utilization",
  "--disable-uvicorn-access-log": "--disable-access-log",
  "--sse-keep-alive-interval": "--sse-ping-interval",
}

/** What flags say about each other. Errors: `ConfigError`. */
export function checkServeConfig(config: ServeConfig): ServeConfig {
  if (config.quantization !== null && config.dtype !== "auto")
    throw new ConfigError("--quantization and --dtype: weights are held in one of them, so give one of them")
  if (config.maxNumSeqs > config.maxNumBatchedTokens)
    throw new ConfigError(
      `--max-num-seqs ${config.maxNumSeqs} is more than --max-num-batched-tokens ${config.maxNumBatchedTokens}: ` +
        "a step computes a token for each running request",
    )
  if (config.allowCredentials && (config.allowedOrigins.length === 0 || config.allowedOrigins.includes("*")))
    throw new ConfigError("--allow-credentials needs --allowed-origins that names them: * would let in every page")
  if (config.maxRequestsPerKey !== null && config.apiKey.length === 0)
    throw new ConfigError("--max-requests-per-key needs --api-key or --api-key-file")
  if ((config.sslCertfile === null) !== (config.sslKeyfile === null))
    throw new ConfigError("--ssl-certfile and --ssl-keyfile: give both of them")
  if (config.sslCaCerts !== null && config.sslCertfile === null)
    throw new ConfigError("--ssl-ca-certs needs --ssl-certfile and --ssl-keyfile")
  if (config.sslCertfile !== null && config.uds !== null)
    throw new ConfigError("--ssl-certfile and --uds: give one of them; a Unix socket is as safe as its directory")
  if (config.maxItlMs !== null && config.maxItlMs > 0 && !config.enableChunkedPrefill)
    throw new ConfigError("--max-itl-ms needs --enable-chunked-prefill: it computes prompts in pieces")
  if (config.kvCacheMemoryBytes !== null && config.gpuMemoryUtilization !== null)
    throw new ConfigError("--kv-cache-memory-bytes and --gpu-memory-utilization: give one of them")
  return config
}

/** The target that these flags set; null: there is none. */
export function itlTargetMs({ maxItlMs, enableChunkedPrefill }: ServeConfig): number | null {
  if (maxItlMs === null) return enableChunkedPrefill ? DEFAULT_MAX_ITL_MS : null
  return maxItlMs === 0 ? null : maxItlMs
}
