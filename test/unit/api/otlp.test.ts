import { afterEach, describe, expect, test } from "bun:test"
import { OtlpExporter } from "../../../src/api/observe/otlp.ts"
import type { OtlpOptions, Span } from "../../../src/api/observe/otlp.ts"
import { makeLog } from "../../../src/base/log.ts"

interface Received {
  readonly path: string
  readonly headers: Headers
  readonly body: any
}

const servers: Bun.Server<undefined>[] = []
afterEach(() => servers.splice(0).forEach((server) => server.stop(true)))

/** A collector that answers with `statuses`, one after another, then with 200. */
function collector(...statuses: number[]) {
  const received: Received[] = []
  const fetch = async (request: Request) => {
    received.push({ path: new URL(request.url).pathname, headers: request.headers, body: await request.json() })
    return new Response("{}", { status: statuses.shift() ?? 200 })
  }
  const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch })
  servers.push(server)
  return { url: `http://127.0.0.1:${server.port}/v1/traces`, received }
}

function exporter(endpoint: string, options: Partial<OtlpOptions> = {}) {
  const lines: string[] = []
  const made = new OtlpExporter({
    endpoint, headers: { authorization: "Bearer key" }, resource: { "service.name": "test" },
    scope: { name: "baozi", version: "1" }, log: makeLog({ write: (line) => lines.push(line) }), delayMs: 5, retryMs: 1,
    ...options,
  })
  return { exporter: made, lines }
}

const SPAN: Span = {
  traceId: "0123456789abcdef0123456789abcdef", spanId: "0123456789abcdef", parentSpanId: null, name: "llm_request",
  kind: "server", startMs: 1_700_000_000_000.25, endMs: 1_700_000_000_001, isError: false,
  attributes: { text: "a", whole: 3, part: 0.5, yes: true, second: { double: 1 }, list: ["x", "y"] },
}

describe("a batch", () => {
  test("is OTLP's JSON: hexadecimal ids, 64-bit numbers as text, typed attributes", async () => {
    const { url, received } = collector()
    const { exporter: made } = exporter(url)
    made.add([SPAN, { ...SPAN, parentSpanId: "fedcba9876543210", kind: "internal", isError: true, attributes: {} }])
    await made.flush()
    expect(received).toHaveLength(1)
    expect(received[0]!.path).toBe("/v1/traces")
    expect(received[0]!.headers.get("content-type")).toBe("application/json")
    expect(received[0]!.headers.get("authorization")).toBe("Bearer key")
    const common = {
      traceId: SPAN.traceId, spanId: SPAN.spanId, name: "llm_request", startTimeUnixNano: "1700000000000250000",
      endTimeUnixNano: "1700000000001000000",
    }
    expect(received[0]!.body).toEqual({
      resourceSpans: [{
        resource: { attributes: [{ key: "service.name", value: { stringValue: "test" } }] },
        scopeSpans: [{
          scope: { name: "baozi", version: "1" },
          spans: [
            {
              ...common, kind: 2, status: {},
              attributes: [
                { key: "text", value: { stringValue: "a" } },
                { key: "whole", value: { intValue: "3" } },
                { key: "part", value: { doubleValue: 0.5 } },
                { key: "yes", value: { boolValue: true } },
                { key: "second", value: { doubleValue: 1 } },
                { key: "list", value: { arrayValue: { values: [{ stringValue: "x" }, { stringValue: "y" }] } } },
              ],
            },
            { ...common, parentSpanId: "fedcba9876543210", kind: 1, status: { code: 2 }, attributes: [] },
          ],
        }],
      }],
    })
  })

  test("leaves by itself after a while", async () => {
    const { url, received } = collector()
    exporter(url).exporter.add([SPAN])
    for (let i = 0; i < 400 && received.length === 0; i++) await Bun.sleep(5)
    expect(received).toHaveLength(1)
  })

  test("holds 512 spans at most", async () => {
    const { url, received } = collector()
    const { exporter: made } = exporter(url, { delayMs: 60_000 })
    made.add(Array.from({ length: 1100 }, () => SPAN))
    await made.flush()
    const sizes = received.map(({ body }) => body.resourceSpans[0].scopeSpans[0].spans.length)
    expect(sizes).toEqual([512, 512, 76])
  })
})

describe("a collector that is", () => {
  test("overloaded is asked again", async () => {
    const { url, received } = collector(503, 429)
    const { exporter: made, lines } = exporter(url)
    made.add([SPAN])
    await made.flush()
    expect(received).toHaveLength(3)
    expect(lines).toEqual([])
  })

  test("unwilling is not, and the log says what is lost", async () => {
    const { url, received } = collector(400)
    const { exporter: made, lines } = exporter(url)
    made.add([SPAN, SPAN])
    await made.flush()
    expect(received).toHaveLength(1)
    expect(lines).toEqual([expect.stringMatching(/^WARNING .*traces were not delivered .*reason="status 400" spans=2/)])
  })

  test("away costs spans and nothing else; the queue is bounded", async () => {
    const { exporter: made, lines } = exporter("http://127.0.0.1:1/v1/traces", { delayMs: 60_000 })
    made.add(Array.from({ length: 3000 }, () => SPAN))
    await made.flush()
    const lost = lines.map((line) => Number(/spans=(\d+)/.exec(line)![1])).reduce((a, b) => a + b, 0)
    expect(lost).toBe(3000)
  })
})
