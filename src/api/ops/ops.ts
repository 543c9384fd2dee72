/** Endpoints for those who run the server: is it alive, what is it doing, which version is it. */
import { Type } from "@sinclair/typebox"
import { Elysia } from "elysia"
import type { ApiContext } from "../context.ts"
import { renderLogMetrics } from "../observe/log-metrics.ts"
import { operation } from "./openapi.ts"
import { renderProcessMetrics } from "../observe/process-metrics.ts"
import { nullable } from "../schema/kinds.ts"

const PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"

export function opsApi({ client, options, httpMetrics }: ApiContext) {
  const tag = "Operation"
  const health = (): Response => new Response(null, { status: client.deathReason() === null ? 200 : 503 })
  const ready = (): Response => {
    const reason = client.notReadyReason()
    return Response.json({ ready: reason === null, reason }, { status: reason === null ? 200 : 503 })
  }
  const load = (): Response => Response.json({ server_load: client.numUnfinished() })
  const metrics = (): Response => {
    const logMetrics = renderLogMetrics(options.numDroppedLogLines())
    const text = client.metrics() + httpMetrics.render() + logMetrics + renderProcessMetrics()
    return new Response(text, { headers: { "content-type": PROMETHEUS } })
  }

  return new Elysia()
    .get("/health", health, { detail: operation({ summary: "200 while the engine lives, else 503", tag, isProbe: true }) })
    .get("/ready", ready, {
      detail: operation({
        summary: "200 while requests are taken, else 503 with the reason: the server shuts down, or its engine died",
        tag,
        isProbe: true,
        response: Type.Object({ ready: Type.Boolean(), reason: nullable(Type.String()) }),
      }),
    })
    .get("/ping", health, { detail: operation({ summary: "The same as /health", tag, isProbe: true }) })
    .post("/ping", health, { parse: "none", detail: operation({ summary: "The same as /health", tag, isProbe: true }) })
    .get("/version", () => Response.json({ version: options.version }), {
      detail: operation({ summary: "This program's version", tag, response: Type.Object({ version: Type.String() }) }),
    })
    .get("/load", load, {
      detail: operation({
        summary: "Requests accepted and not yet finished",
        tag,
        response: Type.Object({ server_load: Type.Integer() }),
      }),
    })
    .get("/metrics", metrics, { detail: operation({ summary: "Prometheus metrics", tag, mediaType: "text/plain" }) })
}
