/** `--otlp-traces-endpoint`: an exporter as the flag and OpenTelemetry's environment variables want it. */
import { OtlpExporter, type Attributes } from "../api/observe/otlp.ts"
import { requestSpans } from "../api/observe/request-spans.ts"
import type { RequestRecord } from "../api/observe/request-record.ts"
import type { Log } from "../base/log.ts"

/** What is left of the time at the end goes to the last spans. */
const FLUSH_MS = 3000

export interface TraceExport {
  readonly onRecord: (record: RequestRecord) => void
  /** Sends what is left, within a few seconds. */
  stop(): Promise<void>
}

export interface TraceOptions {
  readonly endpoint: string | null
  readonly version: string
  /** The name that answers carry. */
  readonly model: string
  readonly env: Readonly<Record<string, string | undefined>>
  readonly log: Log
}

/** Without an endpoint it does nothing and costs nothing. */
export function startTraceExport({ endpoint, version, model, env, log }: TraceOptions): TraceExport {
  if (endpoint === null) return { onRecord: () => {}, stop: async () => {} }
  const exporter = new OtlpExporter({
    endpoint, log,
    headers: pairs(env["OTEL_EXPORTER_OTLP_TRACES_HEADERS"] ?? env["OTEL_EXPORTER_OTLP_HEADERS"]),
    resource: resourceOf(env), scope: { name: "baozi", version },
  })
  return {
    onRecord: (record) => exporter.add(requestSpans(record, model, Date.now())),
    stop: () => Promise.race([exporter.flush(), Bun.sleep(FLUSH_MS)]),
  }
}

function resourceOf(env: TraceOptions["env"]): Attributes {
  const given = pairs(env["OTEL_RESOURCE_ATTRIBUTES"])
  return { ...given, "service.name": env["OTEL_SERVICE_NAME"] || given["service.name"] || "baozi" }
}

/** "a=1,b=two%20words"; what is not a pair is left out, as OpenTelemetry's libraries do. */
function pairs(list: string | undefined): Record<string, string> {
  const entries = (list ?? "").split(",").flatMap((pair): [string, string][] => {
    const end = pair.indexOf("=")
    const name = pair.slice(0, Math.max(end, 0)).trim()
    return name === "" ? [] : [[name, unescape(pair.slice(end + 1).trim())]]
  })
  return Object.fromEntries(entries)
}

function unescape(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
