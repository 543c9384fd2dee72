/**
 * What each endpoint answered, how soon and how much: after the engine's metrics, under the names that vLLM's server
 * gives them.
 */
import { MetricsRegistry } from "../../engine/metrics-registry.ts"

/** Endpoints that probes call all the time are not counted. */
const UNCOUNTED: ReadonlySet<string> = new Set(
  ["/health", "/ready", "/load", "/ping", "/version", "/metrics", "/server_info"],
)
const COARSE_BOUNDS = [0.1, 0.5, 1]
const FINE_BOUNDS = [
  0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5, 7.5, 10, 30, 60,
]

interface MeasuredRequest {
  /** The route's path, not the request's: there are only so many. "none" where nothing serves the path. */
  readonly handler: string
  readonly request: Request
}

export class HttpMetrics {
  private readonly registry = new MetricsRegistry()
  private readonly requests = this.registry.counter({
    name: "http_requests",
    help: "Requests by endpoint, method and status class.",
    labelNames: ["handler", "method", "status"],
  })
  private readonly requestBytes = this.registry.summary({
    name: "http_request_size_bytes",
    help: "Content length of requests by endpoint; 0 where they do not tell it.",
    labelNames: ["handler"],
  })
  private readonly responseBytes = this.registry.summary({
    name: "http_response_size_bytes",
    help: "Bytes of JSON answers by endpoint; 0 for others.",
    labelNames: ["handler"],
  })
  private readonly fineDurations = this.registry.histogram({
    name: "http_request_duration_highr_seconds",
    help: "Seconds until the answer began, over all endpoints.",
    bounds: FINE_BOUNDS,
  })
  private readonly durations = this.registry.histogram({
    name: "http_request_duration_seconds",
    help: "Seconds until the answer began.",
    labelNames: ["handler", "method"],
    bounds: COARSE_BOUNDS,
  })

  /** Counts what `answer` does with the request. */
  async measure(
    { handler, request }: MeasuredRequest, answer: () => Response | Promise<Response>,
  ): Promise<Response> {
    if (UNCOUNTED.has(handler)) return answer()
    const start = performance.now()
    const { response, bytes } = await withSize(await answer())
    const seconds = (performance.now() - start) / 1000
    const { method, headers } = request
    this.requests.labels(handler, method, `${Math.floor(response.status / 100)}xx`).inc()
    this.requestBytes.labels(handler).observe(Number(headers.get("content-length") ?? 0))
    this.responseBytes.labels(handler).observe(bytes)
    this.fineDurations.labels().observe(seconds)
    this.durations.labels(handler, method).observe(seconds)
    return response
  }

  /** Prometheus text, format 0.0.4. */
  render(): string {
    return this.registry.render()
  }
}

/** Of answers that `Response.json` made. */
const WHOLE_JSON = "application/json;charset=utf-8"

/**
 * Bun computes a JSON answer's length when it sends it; here it is known earlier. Streams, files and lists in pieces
 * count 0.
 */
async function withSize(response: Response): Promise<{ response: Response; bytes: number }> {
  const { status, headers } = response
  if (headers.get("content-type") !== WHOLE_JSON) return { response, bytes: Number(headers.get("content-length") ?? 0) }
  const text = await response.text()
  return { response: new Response(text, { status, headers }), bytes: Buffer.byteLength(text) }
}
