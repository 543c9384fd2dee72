import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { executable } from "./executable.ts"
import { defaultModel } from "./models.ts"
import { startServerProcess, type ServerProcess } from "./server-process.ts"
import { metric, post, until } from "./serving.ts"

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
const PARENT = "00f067aa0ba902b7"
const built = executable()
const model = defaultModel()

/** The executable with everything on that tells about requests, and a collector for its traces. */
describe.skipIf(built === null || model === null)("what the server tells", () => {
  let dir: string
  let server: ServerProcess
  const traces: any[] = []
  const collector = Bun.serve({
    port: 0, hostname: "127.0.0.1",
    fetch: async (request) => {
      traces.push({ path: new URL(request.url).pathname, body: await request.json() })
      return new Response("{}")
    },
  })
  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), "baozi-observed-"))
    const flags = [
      "--max-model-len", "1024", "--log-format", "json", "--log-stats-interval", "1", "--enable-per-request-metrics",
      "--otlp-traces-endpoint", `http://127.0.0.1:${collector.port}`,
    ]
    const env = { XDG_CACHE_HOME: dir, OTEL_SERVICE_NAME: "observed" }
    server = await startServerProcess([built!, "serve", model!, ...flags], { cwd: dir, env, timeoutMs: 60_000 })
  }, 70_000)
  afterAll(async () => {
    await server.stop()
    collector.stop(true)
    rmSync(dir, { recursive: true })
  })

  const lines = () =>
    server.log().split("\n").filter((line) => line.startsWith("{")).map((line): any => JSON.parse(line))

  test("one request is a line, metrics in its answer, series and a trace", async () => {
    const headers = {
      "content-type": "application/json", "x-request-id": "seen", traceparent: `00-${TRACE}-${PARENT}-01`,
    }
    const body = { prompt: "One, two,", max_tokens: 8, temperature: 0, ignore_eos: true }
    const answer = (await (await post(server, "/v1/completions", body, { headers })).json()) as any
    await fetch(`${server.url}/health`)
    const { prompt_tokens } = answer.usage
    expect(answer.metrics).toMatchObject({ prompt_tokens, cached_tokens: 0, completion_tokens: 8, num_preemptions: 0 })
    const { queue_time_ms, time_to_first_token_ms, generation_time_ms, mean_itl_ms } = answer.metrics
    expect(queue_time_ms).toBeGreaterThanOrEqual(0)
    expect(time_to_first_token_ms).toBeGreaterThan(0)
    expect(generation_time_ms / 7).toBeCloseTo(mean_itl_ms, 6)

    const answered = lines().filter(({ message }) => message === "answered")
    expect(answered).toEqual([expect.objectContaining({
      path: "/v1/completions", requestId: "seen", id: "cmpl-seen", finish: "length", promptTokens: prompt_tokens,
      outputTokens: 8,
    })])
    const { queueMs, prefillMs, decodeMs, ms } = answered[0]
    expect(queueMs + prefillMs + decodeMs).toBeLessThanOrEqual(ms + 1)
    expect(prefillMs).toBeCloseTo(time_to_first_token_ms, 0)

    await until("the trace", async () => traces.length > 0)
    const [{ path, body: sent }] = traces
    expect(path).toBe("/v1/traces")
    const [{ resource, scopeSpans }] = sent.resourceSpans
    expect(resource.attributes).toEqual([{ key: "service.name", value: { stringValue: "observed" } }])
    const spans = scopeSpans[0].spans as any[]
    expect(spans.map(({ name }) => name)).toEqual(["llm_request", "queue", "prefill", "decode"])
    expect(spans[0]).toMatchObject({ traceId: TRACE, parentSpanId: PARENT, kind: 2 })
    expect(spans.slice(1).every(({ parentSpanId }) => parentSpanId === spans[0].spanId)).toBe(true)
    const attribute = (key: string) => spans[0].attributes.find((each: any) => each.key === key).value
    expect(attribute("gen_ai.usage.completion_tokens")).toEqual({ intValue: "8" })
    expect(attribute("gen_ai.request.id")).toEqual({ stringValue: "cmpl-seen" })
    const seconds = (Number(spans[0].endTimeUnixNano) - Number(spans[0].startTimeUnixNano)) / 1e9
    expect(seconds).toBeCloseTo(attribute("gen_ai.latency.e2e").doubleValue, 4)

    expect(await metric(server, "vllm:generation_tokens_total")).toBe(8)
    await until("a line of throughput", async () => lines().some(({ message }) => message.startsWith("Engine 000: ")))
  }, 60_000)

  test("a client that goes away is a line too, and the gauges are back at zero", async () => {
    const abort = new AbortController()
    const body = { prompt: "One, two,", max_tokens: 900, ignore_eos: true, stream: true }
    const response = await post(server, "/v1/completions", body, {
      headers: { "content-type": "application/json", "x-request-id": "gone" }, signal: abort.signal,
    })
    await response.body!.getReader().read()
    abort.abort()
    const gone = () => lines().find(({ requestId }) => requestId === "gone")
    await until("the line", async () => gone() !== undefined)
    expect(gone()).toMatchObject({ finish: "abort", id: "cmpl-gone" })
    await until("idle gauges", async () => (await metric(server, "vllm:num_requests_running")) === 0)
    expect(await metric(server, "vllm:num_requests_waiting")).toBe(0)
    expect(await metric(server, "vllm:kv_cache_usage_perc")).toBe(0)
  }, 60_000)
})
