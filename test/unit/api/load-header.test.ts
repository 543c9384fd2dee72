import { expect, test } from "bun:test"
import { makeApi } from "./harness.ts"

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

test("the load is that of the engine's last word", () => {
  const { fake } = makeApi({ stepMs: null, maxNumSeqs: 1 })
  expect(fake.engine.load()).toEqual({ kvCacheUsage: 0, numWaiting: 0 })
})
