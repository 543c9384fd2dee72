/** How many requests each endpoint answered, with which kind of status, and how soon: after the engine's metrics. */
import { MetricsRegistry } from "../engine/metrics-registry.ts"

/** Endpoints that probes call all the time are not counted. */
const UNCOUNTED: ReadonlySet<string> = new Set(["/health", "/load", "/ping", "/version", "/metrics"])
const DURATION_BOUNDS = [0.1, 0.5, 1]

export interface AnsweredRequest {
  /** The route's path, not the request's: there are only so many. */
  readonly handler: string
  readonly method: string
  readonly status: number
  /** Until the answer began. */
  readonly seconds: number
}

export class HttpMetrics {
  private readonly registry = new MetricsRegistry()
  private readonly requests = this.registry.counter({
    name: "http_requests",
    help: "Requests by endpoint, method and status class.",
    labelNames: ["handler", "method", "status"],
  })
  private readonly durations = this.registry.histogram({
    name: "http_request_duration_seconds",
    help: "Seconds until the answer began.",
    labelNames: ["handler", "method"],
    bounds: DURATION_BOUNDS,
  })

  record({ handler, method, status, seconds }: AnsweredRequest): void {
    if (UNCOUNTED.has(handler)) return
    this.requests.labels(handler, method, `${Math.floor(status / 100)}xx`).inc()
    this.durations.labels(handler, method).observe(seconds)
  }

  /** Prometheus text, format 0.0.4. */
  render(): string {
    return this.registry.render()
  }
}
