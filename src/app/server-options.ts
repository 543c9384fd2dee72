/** What the command line says of HTTP. */
import type { ServerOptions } from "../api/http/server.ts"
import type { TlsFiles } from "../api/http/tls.ts"
import type { Log } from "../base/log.ts"
import { stderr } from "../base/standard-streams.ts"
import { VERSION } from "../cli/index.ts"
import type { ServeConfig } from "../cli/serve-options.ts"
import { isLocal, serverInfo } from "./server-info.ts"

/** The part of a config that concerns HTTP. */
export function serverOptions(config: ServeConfig, log: Log): ServerOptions {
  return {
    host: config.host, port: config.port, uds: config.uds, rootPath: config.rootPath, log,
    tls: tlsFiles(config), keepAliveSeconds: config.timeoutKeepAlive,
    apiKeys: config.apiKey, guardsEveryRoute: config.apiKeyEverywhere,
    cors: {
      allowedOrigins: config.allowedOrigins, allowCredentials: config.allowCredentials,
      allowedMethods: config.allowedMethods.length > 0 ? config.allowedMethods : ["*"],
      allowedHeaders: config.allowedHeaders.length > 0 ? config.allowedHeaders : ["*"],
    },
    allowedHosts: allowedHosts(config),
    enableRequestIdHeaders: config.enableRequestIdHeaders, sseKeepAliveMs: config.ssePingInterval * 1000,
    streamResume: { seconds: config.streamResumeSeconds, bytes: config.streamResumeBytes },
    responseStore: { maxResponses: config.maxStoredResponses, maxBytes: config.maxStoredResponseBytes },
    enablePerRequestMetrics: config.enablePerRequestMetrics, accessLog: !config.disableAccessLog,
    logsCacheMisses: config.logLevel === "debug",
    quietPaths: config.disableAccessLogForEndpoints,
    devMode: config.enableDevEndpoints ?? (config.apiKey.length > 0 || isLocal(config)),
    enableTokenizerInfo: config.enableTokenizerInfoEndpoint, serverInfo: serverInfo(config),
    excludeToolsWhenToolChoiceNone: config.excludeToolsWhenToolChoiceNone,
    maxBodyBytes: config.maxBodyBytes, requestLimits: config,
    bodyLimits: { maxDepth: config.maxBodyDepth, maxValues: config.maxBodyValues, maxNumbers: config.maxBodyNumbers },
    responseRole: config.responseRole,
    defaultChatTemplateKwargs: config.defaultChatTemplateKwargs,
    trustRequestChatTemplate: config.trustRequestChatTemplate, returnTokensAsTokenIds: config.returnTokensAsTokenIds,
    numDroppedLogLines: () => stderr.numDropped,
  }
}

/** Beside what was allowed: the name that the server was told to listen on. No browser reaches a Unix socket. */
function allowedHosts({ allowedHosts, host, uds }: ServeConfig): readonly string[] {
  return uds === null ? [...allowedHosts, host] : ["*"]
}

function tlsFiles({ sslCertfile, sslKeyfile, sslCaCerts }: ServeConfig): TlsFiles | null {
  return sslCertfile === null || sslKeyfile === null
    ? null
    : { certFile: sslCertfile, keyFile: sslKeyfile, caFile: sslCaCerts }
}
