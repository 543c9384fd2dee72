/** The HTTP server: sockets and time limits around the application. */
import { ConfigError } from "../../base/errors.ts"
import type { EngineClient } from "../../engine/engine-client.ts"
import { acceptingOnArrival } from "./accept-on-arrival.ts"
import { createApp } from "../app.ts"
import { onceRead } from "./body.ts"
import { DEFAULT_API_OPTIONS } from "../context.ts"
import type { ApiOptions } from "../context.ts"
import { wholeUrl } from "./path.ts"
import { loadTls } from "./tls.ts"
import type { TlsFiles } from "./tls.ts"
import { removeStaleSocket } from "./unix-socket.ts"

/** What `stop` leaves to answers that are almost sent. */
const STOP_GRACE_MS = 1000

export interface ServerOptions extends Partial<ApiOptions> {
  readonly host: string
  /** 0 takes any free port. */
  readonly port: number
  /** A Unix socket's path; the host and port are not used then. */
  readonly uds?: string | null
  /** Serves https. */
  readonly tls?: TlsFiles | null
  /** Seconds a connection may be silent between two requests, and within a request's body; 255 at most. */
  readonly keepAliveSeconds?: number
}

export interface ApiServer {
  readonly url: string
  /** 0 on a Unix socket. */
  readonly port: number
  /** Takes no new connections; requests that are not done within a second are cut off and aborted. */
  stop(): Promise<void>
}

type Address = Pick<ServerOptions, "host" | "port" | "uds" | "tls">

/**
 * Listens for a moment, so that an address that is taken, or a certificate that is none, is known before a model is
 * loaded for it. Errors: `ConfigError`, as `startServer` has them.
 */
export async function checkAddress({ host, port, uds = null, tls = null }: Address): Promise<void> {
  if (uds !== null) await removeStaleSocket(uds)
  const refuse = async (): Promise<Response> => new Response(null, { status: 503 })
  const server = listen({ host, port, uds }, { fetch: refuse, idleTimeout: 1, ...tlsOptions(tls) })
  await server.stop(true)
}

/** Errors: `ConfigError` when the address cannot be listened on. */
export async function startServer(options: ServerOptions, client: EngineClient): Promise<ApiServer> {
  const { host, port, uds = null, tls = null, keepAliveSeconds = 60, ...api } = options
  const merged = { ...DEFAULT_API_OPTIONS, ...api }
  const app = createApp(merged, client)
  const fetch = async (request: Request, server: Bun.Server<undefined>): Promise<Response> => {
    const inner = innerRequest(request, merged.rootPath)
    // It may wait in the queue and in prefill for longer than any limit on silence.
    onceRead(inner, () => server.timeout(request, 0))
    return app.handle(inner)
  }
  if (uds !== null) await removeStaleSocket(uds)
  const { listener: server, stop: stopAccepting } = acceptingOnArrival(() => listen({ host, port, uds }, {
    fetch,
    idleTimeout: keepAliveSeconds,
    ...tlsOptions(tls),
  }))
  return {
    url: uds === null ? server.url.href.replace(/\/$/, "") : `unix:${uds}`,
    port: server.port ?? 0,
    stop: () => {
      stopAccepting()
      return stop(server)
    },
  }
}

function tlsOptions(tls: TlsFiles | null): { tls?: Bun.TLSOptions } {
  return tls === null ? {} : { tls: loadTls(tls) }
}

async function stop(server: Bun.Server<undefined>): Promise<void> {
  const graceful = server.stop(false)
  await Promise.race([graceful, Bun.sleep(STOP_GRACE_MS)])
  await server.stop(true)
}

interface Serving {
  readonly fetch: (request: Request, server: Bun.Server<undefined>) => Promise<Response>
  readonly idleTimeout: number
  readonly tls?: Bun.TLSOptions
}

function listen(
  { host, port, uds }: { host: string; port: number; uds: string | null }, { tls, ...serving }: Serving,
): Bun.Server<undefined> {
  const common = {
    ...serving,
    // The body limit is ours (body.ts), so that a refusal has a body of its own.
    maxRequestBodySize: Number.MAX_SAFE_INTEGER,
    development: false,
  }
  try {
    // Bun honours the time limit on Unix sockets too; its types do not say so.
    if (uds !== null) return Bun.serve({ ...common, unix: uds } as Parameters<typeof Bun.serve>[0])
    // NOTE: outside development Bun lets a second server share the port, and requests go to one or the other.
    return Bun.serve({ ...common, hostname: host, port, reusePort: false, ...(tls && { tls }) })
  } catch (error) {
    const where = uds ?? `${host}:${port}`
    const { code, message } = error as NodeJS.ErrnoException
    const taken = uds === null ? "the port is in use" : "something is there already"
    const isTaken = code === "EADDRINUSE" && (uds !== null || port !== 0)
    throw new ConfigError(`cannot listen on ${where}: ${isTaken ? taken : message}`)
  }
}

/**
 * The request as the application sees it. A proxy may or may not have taken the prefix off; the application knows
 * nothing of https, whose scheme Elysia takes for a part of the path; and every URL has a host.
 */
function innerRequest(request: Request, rootPath: string): Request {
  const isPlain = request.url.startsWith("http:") && URL.canParse(request.url)
  if (rootPath === "" && isPlain) return request
  const url = wholeUrl(request.url)
  const hasPrefix = rootPath !== "" && (url.pathname === rootPath || url.pathname.startsWith(`${rootPath}/`))
  if (!hasPrefix && isPlain) return request
  if (hasPrefix) url.pathname = url.pathname.slice(rootPath.length) || "/"
  url.protocol = "http:"
  return new Request(url.href, request)
}
