/** The HTTP server: sockets and time limits around the application. */
import { ConfigError } from "../base/errors.ts"
import type { EngineClient } from "../engine/engine-client.ts"
import { createApp } from "./app.ts"
import { DEFAULT_API_OPTIONS } from "./context.ts"
import type { ApiOptions } from "./context.ts"

/** Seconds a connection may stay open between two requests. */
const KEEP_ALIVE_SECONDS = 60
/** What `stop` leaves to answers that are almost sent. */
const STOP_GRACE_MS = 1000

export interface ServerOptions extends Partial<ApiOptions> {
  readonly host: string
  /** 0 takes any free port. */
  readonly port: number
  /** A Unix socket's path; the host and port are not used then. */
  readonly uds?: string | null
}

export interface ApiServer {
  readonly url: string
  /** 0 on a Unix socket. */
  readonly port: number
  /** Takes no new connections; requests that are not done within a second are cut off and aborted. */
  stop(): Promise<void>
}

/** Errors: `ConfigError` when the address cannot be listened on. */
export async function startServer(options: ServerOptions, client: EngineClient): Promise<ApiServer> {
  const { host, port, uds = null, ...api } = options
  const merged = { ...DEFAULT_API_OPTIONS, ...api }
  const app = createApp(merged, client)
  const fetch = async (request: Request, server: Bun.Server<undefined>): Promise<Response> => {
    // A request may wait in the queue and in prefill for longer than any limit on silence.
    server.timeout(request, 0)
    return app.handle(withoutRootPath(request, merged.rootPath))
  }
  const server = listen({ host, port, uds }, fetch)
  return {
    url: uds === null ? server.url.href.replace(/\/$/, "") : `unix:${uds}`,
    port: server.port ?? 0,
    stop: () => stop(server),
  }
}

async function stop(server: Bun.Server<undefined>): Promise<void> {
  const graceful = server.stop(false)
  await Promise.race([graceful, Bun.sleep(STOP_GRACE_MS)])
  await server.stop(true)
}

type Fetch = (request: Request, server: Bun.Server<undefined>) => Promise<Response>

function listen(
  { host, port, uds }: { host: string; port: number; uds: string | null }, fetch: Fetch,
): Bun.Server<undefined> {
  const common = {
    fetch,
    // The body limit is ours (body.ts), so that a refusal has a body of its own.
    maxRequestBodySize: Number.MAX_SAFE_INTEGER,
    development: false,
  }
  try {
    if (uds !== null) return Bun.serve({ ...common, unix: uds })
    // NOTE: outside development Bun lets a second server share the port, and requests go to one or the other.
    return Bun.serve({ ...common, hostname: host, port, idleTimeout: KEEP_ALIVE_SECONDS, reusePort: false })
  } catch (error) {
    const where = uds ?? `${host}:${port}`
    throw new ConfigError(`cannot listen on ${where}: ${error instanceof Error ? error.message : String(error)}`)
  }
}

/** A proxy may or may not have taken the prefix off. */
function withoutRootPath(request: Request, rootPath: string): Request {
  if (rootPath === "") return request
  const url = new URL(request.url)
  if (url.pathname !== rootPath && !url.pathname.startsWith(`${rootPath}/`)) return request
  url.pathname = url.pathname.slice(rootPath.length) || "/"
  return new Request(url.href, request)
}
