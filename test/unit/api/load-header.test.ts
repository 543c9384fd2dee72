import { expect, test } from "bun:test"
import { reportLoad } from "../../../src/api/observe/load-header.ts"
import { makeApi, until } from "./harness.ts"

const ASK = (format: string) => ({ "endpoint-load-metrics-format": format })
const HEADER = "endpoint-load-metrics"

test("a whole answer carries the engine's load in the form that a balancer asks for", async () => {
  const api = makeApi({ reply: "a<|eos|>" })
  const header = async (path: string, body: object, format: string) =>
    (await api.post(path, body, ASK(format))).headers.get(HEADER)
  const text = "TEXT named_metrics.kv_cache_usage_perc=0.0, named_metrics.num_requests_waiting=0.0"
  expect(await header("/v1/completions", { prompt: "hi" }, "TEXT")).toBe(text)
  const chat = { messages: [{ role: "user", content: "hi" }] }
  const json = await header("/v1/chat/completions", chat, "json")
  expect(json).toBe('JSON {"named_metrics": {"kv_cache_usage_perc": 0.0, "num_requests_waiting": 0.0}}')
  expect(await header("/v1/completions", { prompt: "hi" }, "xml")).toBeNull()
  expect(await header("/v1/completions", { prompt: "hi", stream: true }, "text")).toBeNull()
  expect(await header("/v1/completions", { prompt: "" }, "text")).toBeNull()
  expect((await api.post("/v1/completions", { prompt: "hi" })).headers.get(HEADER)).toBeNull()
})

test("the numbers are those of the load", () => {
  const load = () => ({ kvCacheUsage: 0.375, numWaiting: 7 })
  const report = (format: string) => {
    const response = new Response()
    reportLoad(new Request("http://localhost/", { headers: ASK(format) }), response, load)
    return response.headers.get(HEADER)
  }
  expect(report("Text")).toBe("TEXT named_metrics.kv_cache_usage_perc=0.375, named_metrics.num_requests_waiting=7.0")
  expect(report("json")).toBe('JSON {"named_metrics": {"kv_cache_usage_perc": 0.375, "num_requests_waiting": 7.0}}')
})

test("the load is that of the engine's last step", async () => {
  const { fake, post } = makeApi({ stepMs: null, maxNumSeqs: 1, reply: "ab<|eos|>" })
  expect(fake.engine.load()).toEqual({ kvCacheUsage: 0, numWaiting: 0 })
  const answers = [1, 2, 3].map(() => post("/v1/completions", { prompt: "hi" }))
  await until(() => fake.numLive() === 3, "three requests")
  fake.core.step()
  expect(fake.engine.load().numWaiting).toBe(2)
  expect(fake.engine.load().kvCacheUsage).toBeGreaterThan(0)
  while (fake.numLive() > 0) fake.core.step()
  await Promise.all(answers)
  expect(fake.engine.load()).toEqual({ kvCacheUsage: 0, numWaiting: 0 })
})
