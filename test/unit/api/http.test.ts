import { describe, expect, test } from "bun:test"
import { makeApi, until } from "./harness.ts"

const api = makeApi({ reply: "ok<|eos|>" })
const COMPLETIONS = "/v1/completions"
const JSON_TYPE = { "content-type": "application/json" }

describe("bodies", () => {
  const good = JSON.stringify({ prompt: "hi", max_tokens: 1 })

  test.each([
    ["not JSON", "{nope", "body"],
    ["an array", "[]", "body"],
    ["a string", '"x"', "body"],
    ["null", "null", "body"],
    ["nothing", "", "body"],
  ])("%s is refused", async (_, body, param) => {
    const { status, json } = await api.send("POST", COMPLETIONS, body, JSON_TYPE)
    expect(status).toBe(400)
    expect(json.error).toMatchObject({ type: "Bad Request", param, code: 400 })
  })

  test("invalid UTF-8 is refused, not repaired", async () => {
    const bytes = new Uint8Array([...Buffer.from('{"prompt":"'), 0xff, 0xfe, ...Buffer.from('"}')])
    const { status, json } = await api.send("POST", COMPLETIONS, bytes, JSON_TYPE)
    expect(status).toBe(400)
    expect(json.error).toMatchObject({ type: "Bad Request", message: expect.stringContaining("UTF-8") })
  })

  test.each([{ "content-type": "text/plain" }, {}])("content type %j is refused", async (headers) => {
    const bytes = new Uint8Array(Buffer.from(good)) // a string would get a content type of its own
    const { status, json } = await api.send("POST", COMPLETIONS, bytes, headers as Record<string, string>)
    expect(status).toBe(400)
    expect(json.error).toMatchObject({ type: "Bad Request", param: null })
  })

  test("a charset after the content type is fine", async () => {
    const { status } = await api.send("POST", COMPLETIONS, good, { "content-type": "application/json; charset=utf-8" })
    expect(status).toBe(200)
  })

  test("larger than the limit: 413, whether its length is declared or not", async () => {
    const small = makeApi({ api: { maxBodyBytes: 1000 } })
    const body = JSON.stringify({ prompt: "x".repeat(2000) })
    const chunked = new Response(body).body!
    for (const sent of [body, chunked]) {
      const { status, json } = await small.send("POST", COMPLETIONS, sent, JSON_TYPE)
      expect(status).toBe(413)
      const message = expect.stringContaining("1000 bytes")
      expect(json.error).toMatchObject({ type: "RequestEntityTooLarge", code: 413, message })
    }
    expect((await small.post(COMPLETIONS, { prompt: "hi" })).status).toBe(200)
  })

  test.each<[string, string, RegExp]>([
    ["values", `{"prompt":[${"{},".repeat(200)}{}]}`, /more than 100 values/],
    ["numbers", `{"prompt":[${"1,".repeat(60)}1]}`, /more than 50 numbers/],
    ["depth", `{"x":${"[".repeat(9)}${"]".repeat(9)}}`, /nested more than 8 deep/],
    ["what is no JSON", "[".repeat(20), /nested more than 8 deep/],
  ])("more %s than the limit: 400 before it is parsed", async (_, body, words) => {
    const tight = makeApi({ api: { bodyLimits: { maxValues: 100, maxNumbers: 50, maxDepth: 8 } } })
    const { status, json } = await tight.send("POST", COMPLETIONS, body, JSON_TYPE)
    expect(status).toBe(400)
    expect(json.error).toMatchObject({ type: "Bad Request", param: "body", message: expect.stringMatching(words) })
  })

  test("memory is bounded by the body's bytes, whatever the limits are", async () => {
    const loose = makeApi({ api: { bodyLimits: { maxValues: 1e9, maxNumbers: 1e9, maxDepth: 200 } } })
    for (const [item, count] of [["{}", 1_300_000], ["1", 2_000_000]] as const) {
      const { status, json } = await loose.send("POST", COMPLETIONS, `{"x":[${`${item},`.repeat(count)}1]}`, JSON_TYPE)
      expect(status).toBe(400)
      expect(json.error).toMatchObject({ param: "body", message: expect.stringContaining("bytes of memory") })
    }
  })

  test("chunks are put together, whether their length was declared or not", async () => {
    const text = JSON.stringify({ prompt: "é".repeat(900), max_tokens: 1 })
    const bytes = new Uint8Array(Buffer.from(text))
    for (const declared of [{}, { "content-length": String(bytes.length) }, { "content-length": "10" }]) {
      const stream = new ReadableStream({
        start(controller) {
          for (let i = 0; i < bytes.length; i += 7) controller.enqueue(bytes.slice(i, i + 7))
          controller.close()
        },
      })
      const long = makeApi({ model: { maxModelLen: 4096 } })
      const { status, json } = await long.send("POST", COMPLETIONS, stream, { ...JSON_TYPE, ...declared })
      expect([status, json.usage?.prompt_tokens]).toEqual([200, 1801])
    }
  })

  test("scalars are read as pydantic's lax mode reads them", async () => {
    const body = {
      prompt: "hi",
      max_tokens: "2",
      temperature: "0.5",
      n: true,
      stream: "no",
      top_k: "3.0",
      ignore_eos: 1,
    }
    expect((await api.post(COMPLETIONS, body)).status).toBe(200)
    const { sampling } = api.fake.core.added.at(-1)!
    expect(sampling).toMatchObject({ maxTokens: 2, temperature: 0.5, topK: 3, ignoreEos: true })
  })

  test("a 64-bit seed keeps every digit", async () => {
    await api.send("POST", COMPLETIONS, '{"prompt":"hi","seed":9223372036854775807}', JSON_TYPE)
    expect(api.fake.core.added.at(-1)!.sampling.seed).toBe(9223372036854775807n)
    await api.send("POST", COMPLETIONS, '{"prompt":"hi","seed":-5}', JSON_TYPE)
    expect(BigInt.asIntN(64, api.fake.core.added.at(-1)!.sampling.seed!)).toBe(-5n)
  })

  test("unknown fields are accepted and named in the log once", async () => {
    const fresh = makeApi()
    for (let i = 0; i < 3; i++) expect((await fresh.post(COMPLETIONS, { prompt: "hi", wibble: i })).status).toBe(200)
    expect(fresh.logLines.filter((line) => line.includes("wibble"))).toHaveLength(1)
  })
})

describe("routes", () => {
  test.each([
    ["GET", "/nope"],
    ["POST", "/v1/embeddings"],
    ["GET", "/v1"],
  ])("%s %s is not found", async (method, path) => {
    const { status, json } = await api.send(method, path)
    expect(status).toBe(404)
    expect(json).toEqual({ detail: "Not Found" })
  })

  test.each([["GET", COMPLETIONS, "POST"], ["DELETE", "/v1/models", "GET"], ["PUT", "/ping", "GET, POST"]])(
    "%s %s is not allowed", async (method, path, allow) => {
      const { status, json, headers } = await api.send(method, path)
      expect(status).toBe(405)
      expect(json).toEqual({ detail: "Method Not Allowed" })
      expect(headers.get("allow")).toBe(allow)
    },
  )

  test("host names of any length", async () => {
    const response = await api.app.handle(new Request("http://a/version"))
    expect(response.status).toBe(200)
  })
})

describe("API keys", () => {
  const guarded = makeApi({ api: { apiKeys: ["first", "second-key"] } })
  const status = async (path: string, authorization?: string): Promise<number> =>
    (await guarded.send("GET", path, undefined, authorization === undefined ? {} : { authorization })).status

  test("open every route to any of them", async () => {
    for (const key of ["first", "second-key"]) expect(await status("/v1/models", `Bearer ${key}`)).toBe(200)
    expect(await status("/v1/models", "bearer first")).toBe(200)
  })

  test.each([undefined, "", "first", "Bearer", "Bearer ", "Bearer firs", "Bearer first2", "Basic first"])(
    "%j opens nothing but probes", async (authorization) => {
      for (const path of ["/v1/models", "/ping", "/docs", "/docs/json", "/version", "/nope"]) {
        expect(await status(path, authorization)).toBe(401)
      }
      for (const path of ["/health", "/metrics"]) expect(await status(path, authorization)).toBe(200)
    },
  )

  test("may be asked for everywhere", async () => {
    const closed = makeApi({ api: { apiKeys: ["first"], guardsEveryRoute: true } })
    for (const path of ["/health", "/ready", "/metrics"]) {
      expect((await closed.send("GET", path)).status).toBe(401)
      expect((await closed.send("GET", path, undefined, { authorization: "Bearer first" })).status).not.toBe(401)
    }
  })

  test("may come as Anthropic's clients send them", async () => {
    expect((await guarded.send("GET", "/v1/models", undefined, { "x-api-key": "second-key" })).status).toBe(200)
    expect((await guarded.send("GET", "/v1/models", undefined, { "x-api-key": "third" })).status).toBe(401)
  })

  test("the refusal is vLLM's", async () => {
    expect((await guarded.post(COMPLETIONS, { prompt: "hi" })).json).toEqual({ error: "Unauthorized" })
  })
})

describe("/ready", () => {
  test("is 200 while requests are taken", async () => {
    const { status, json } = await api.send("GET", "/ready")
    expect([status, json]).toEqual([200, { ready: true, reason: null }])
  })

  test("is 503 while the server drains, though it is healthy; requests are told to come back", async () => {
    const leaving = makeApi({ stepMs: null })
    const held = leaving.post(COMPLETIONS, { prompt: "hi", max_tokens: 1 })
    await until(() => leaving.fake.numLive() === 1, "the request")
    const closed = leaving.fake.engine.shutdown(10_000)
    expect((await leaving.send("GET", "/health")).status).toBe(200)
    const { status, json } = await leaving.send("GET", "/ready")
    expect([status, json]).toEqual([503, { ready: false, reason: "The server is shutting down." }])
    for (const stream of [false, true]) {
      const late = await leaving.post(COMPLETIONS, { prompt: "hi", stream })
      expect([late.status, late.headers.get("retry-after")]).toEqual([503, "5"])
    }
    leaving.fake.core.step()
    await closed
    expect((await held).json.choices[0].finish_reason).toBe("length")
  })

  test("is 503 while the engine rests", async () => {
    const resting = makeApi()
    await resting.fake.engine.control.pause("keep", false)
    expect((await resting.send("GET", "/ready")).json).toEqual({ ready: false, reason: "The engine is paused." })
    await resting.fake.engine.control.resume()
    await resting.fake.engine.control.sleep(1, "abort")
    expect((await resting.send("GET", "/ready")).json).toEqual({ ready: false, reason: "The engine sleeps." })
    await resting.fake.engine.control.wakeUp()
    expect((await resting.send("GET", "/ready")).status).toBe(200)
  })

  test("is 503 with the engine dead, as /health is, until it works again", async () => {
    const dying = makeApi()
    dying.fake.core.die("some reason")
    for (const path of ["/health", "/ready"]) expect((await dying.send("GET", path)).status).toBe(503)
    await dying.fake.engine.restart()
    for (const path of ["/health", "/ready"]) expect((await dying.send("GET", path)).status).toBe(200)
  })
})

describe("pages of other origins", () => {
  const ORIGIN = "https://app.example"
  const allowed = { allowedOrigins: [ORIGIN], allowedMethods: ["POST"], allowedHeaders: ["*"], allowCredentials: true }
  const guarded = makeApi({ api: { apiKeys: ["key"], cors: allowed } })
  const ask = (origin: string, method: string) =>
    guarded.send("OPTIONS", COMPLETIONS, undefined, {
      origin, "access-control-request-method": method, "access-control-request-headers": "authorization, x-a",
    })

  test("may ask before they call, without a key", async () => {
    const { status, headers } = await ask(ORIGIN, "POST")
    expect(status).toBe(204)
    expect(Object.fromEntries(headers)).toMatchObject({
      "access-control-allow-origin": ORIGIN, "access-control-allow-methods": "POST", vary: "Origin",
      "access-control-allow-headers": "authorization, x-a", "access-control-allow-credentials": "true",
    })
    expect((await ask("https://evil.example", "POST")).status).toBe(400)
  })

  test("may read answers where they are allowed, refusals too", async () => {
    const rows = [[ORIGIN, "key", 200], [ORIGIN, "no", 401], ["https://b.example", "key", 200]] as const
    for (const [origin, key, status] of rows) {
      const headers = { origin, authorization: `Bearer ${key}` }
      const answer = await guarded.send("GET", "/v1/models", undefined, headers)
      expect(answer.status).toBe(status)
      expect(answer.headers.get("access-control-allow-origin")).toBe(origin === ORIGIN ? ORIGIN : null)
    }
  })

  test("are not told anything where nothing was said about them", async () => {
    const headers = { origin: ORIGIN, "access-control-request-method": "POST" }
    const keyed = makeApi({ api: { apiKeys: ["key"] } })
    const authorized = { ...headers, authorization: "Bearer key" }
    expect((await keyed.send("OPTIONS", COMPLETIONS, undefined, authorized)).status).toBe(405)
    expect((await api.send("OPTIONS", COMPLETIONS, undefined, headers)).status).toBe(403)
    const plain = await api.send("GET", "/version", undefined, headers)
    expect(plain.headers.get("access-control-allow-origin")).toBeNull()
    const cors = { ...allowed, allowedOrigins: ["*"], allowedMethods: ["*"], allowCredentials: false }
    const open = await makeApi({ api: { cors } }).send("OPTIONS", COMPLETIONS, undefined, headers)
    expect(open.headers.get("access-control-allow-origin")).toBe("*")
    expect(open.headers.get("access-control-allow-methods")).toBe("POST")
  })
})

describe("request ids and priorities", () => {
  test("the header wins over the body, and is echoed when the server is told to", async () => {
    const { json, headers } = await api.post(
      COMPLETIONS,
      { prompt: "hi", request_id: "body" },
      { "x-request-id": "head" },
    )
    expect(json.id).toBe("cmpl-head")
    expect(headers.get("x-request-id")).toBeNull()
    expect((await api.post(COMPLETIONS, { prompt: "hi", request_id: "body" })).json.id).toBe("cmpl-body")
    const echoing = makeApi({ api: { enableRequestIdHeaders: true } })
    const echoed = await echoing.post(COMPLETIONS, { prompt: "hi" }, { "x-request-id": "head" })
    expect(echoed.headers.get("x-request-id")).toBe("head")
    expect((await echoing.send("GET", "/version")).headers.get("x-request-id")).toMatch(/^[0-9a-f]{32}$/)
  })

  test("two requests may bear the same id", async () => {
    const both = [1, 2].map(() => api.post(COMPLETIONS, { prompt: "hi", request_id: "same" }))
    for (const { status } of await Promise.all(both)) expect(status).toBe(200)
  })

  test("the priority header wins over the body", async () => {
    await api.post(COMPLETIONS, { prompt: "hi", priority: 1 }, { "x-vllm-priority": "-7" })
    expect(api.fake.core.added.at(-1)!.priority).toBe(-7)
    await api.post(COMPLETIONS, { prompt: "hi", priority: 1, cache_salt: "s" })
    expect(api.fake.core.added.at(-1)!).toMatchObject({ priority: 1, cacheSalt: "s" })
    expect((await api.post(COMPLETIONS, { prompt: "hi" }, { "x-vllm-priority": "soon" })).status).toBe(400)
  })
})

describe("operation", () => {
  test("models are listed and found, also with a slash in the name", async () => {
    const slashed = makeApi({ model: { servedNames: ["org/name", "alias"] } })
    const { json } = await slashed.send("GET", "/v1/models")
    const card = { id: "org/name", object: "model", max_model_len: 256, parent: null }
    expect(json).toMatchObject({ object: "list", data: [card, { id: "alias" }] })
    expect(json.data[0].permission[0]).toMatchObject({ object: "model_permission", organization: "*", group: null })
    for (const path of ["org/name", "org%2Fname", "alias"]) {
      expect((await slashed.send("GET", `/v1/models/${path}`)).status).toBe(200)
    }
    expect((await slashed.send("GET", "/v1/models/nope")).json.error).toMatchObject({ code: 404, param: "model" })
    expect((await slashed.post(COMPLETIONS, { model: "alias", prompt: "hi" })).json.model).toBe("org/name")
  })

  test("tokenize and detokenize", async () => {
    const text = await api.post("/tokenize", { prompt: "hi", return_token_strs: true })
    expect(text.json).toEqual({
      count: 3,
      max_model_len: 256,
      tokens: [256, 104, 105],
      token_strs: ["<|bos|>", "h", "i"],
    })
    const bare = await api.post("/tokenize", { prompt: "", add_special_tokens: false })
    expect(bare.json).toEqual({ count: 0, max_model_len: 256, tokens: [], token_strs: null })
    const messages = [{ role: "user", content: "x" }]
    const chat = await api.post("/tokenize", { messages })
    const closed = await api.post("/tokenize", { messages, add_generation_prompt: false })
    expect(chat.json.count).toBeGreaterThan(closed.json.count)
    expect((await api.post("/detokenize", { tokens: chat.json.tokens })).json.prompt).toContain("<|im_start|>assistant")
    expect((await api.post("/detokenize", { tokens: [] })).json).toEqual({ prompt: "" })
  })

  test("health, ping, version, load and metrics", async () => {
    for (const [method, path] of [["GET", "/health"], ["GET", "/ping"], ["POST", "/ping"]] as const) {
      const { status, text } = await api.send(method, path)
      expect([status, text]).toEqual([200, ""])
    }
    expect((await api.send("GET", "/version")).json).toEqual({ version: expect.stringMatching(/^\d+\.\d+\.\d+/) })
    expect((await api.send("GET", "/load")).json).toEqual({ server_load: 0 })
    const metrics = await api.send("GET", "/metrics")
    expect(metrics.headers.get("content-type")).toStartWith("text/plain; version=0.0.4")
    expect(metrics.text).toContain("vllm:num_requests_running")
  })

  test("metrics count the requests of each endpoint, but not of the probes", async () => {
    const fresh = makeApi()
    await fresh.post(COMPLETIONS, { prompt: "hi" })
    await fresh.post(COMPLETIONS, { prompt: "" })
    await fresh.send("GET", "/v1/models/fake")
    await fresh.send("GET", "/health")
    await fresh.send("GET", "/no/such/path")
    await fresh.send("DELETE", "/v1/models")
    const { text } = await fresh.send("GET", "/metrics")
    expect(text).toContain('http_requests_total{handler="/v1/completions",method="POST",status="2xx"} 1')
    expect(text).toContain('http_requests_total{handler="/v1/completions",method="POST",status="4xx"} 1')
    expect(text).toContain('http_requests_total{handler="/v1/models/*",method="GET",status="2xx"} 1')
    expect(text).toContain('http_request_duration_seconds_count{handler="/v1/completions",method="POST"} 2')
    expect(text).toContain('http_request_duration_seconds_bucket{handler="/v1/completions",method="POST",le="+Inf"} 2')
    expect(text).toContain("http_request_duration_highr_seconds_count 5.0")
    expect(text).toContain('http_requests_total{handler="none",method="GET",status="4xx"} 1')
    expect(text).toContain('http_requests_total{handler="/v1/models",method="DELETE",status="4xx"} 1')
    expect(text).toContain('http_response_size_bytes_count{handler="/v1/completions"} 2')
    const sizes = /^http_response_size_bytes_sum\{handler="\/v1\/models\/\*"\} (\S+)$/m.exec(text)!
    expect(Number(sizes[1])).toBe((await fresh.send("GET", "/v1/models/fake")).text.length)
    expect(text).toContain("process_resident_memory_bytes ")
    expect(text).not.toContain('handler="/health"')
  })

  test("the prefix cache is reset for developers only", async () => {
    expect((await api.post("/reset_prefix_cache?reset_running_requests=true", {})).json).toEqual({ success: true })
    expect(api.fake.core.calls.at(-1)).toMatchObject({ args: [true] })
    const unclear = await api.post("/reset_prefix_cache?reset_running_requests=maybe", {})
    expect(unclear.json.error).toMatchObject({ type: "Bad Request", param: "query.reset_running_requests" })
    expect((await makeApi({ api: { devMode: false } }).post("/reset_prefix_cache", {})).status).toBe(404)
  })
})

describe("a dead engine", () => {
  test("fails its requests, turns /health red and tells the log, not the client, why", async () => {
    const dying = makeApi({ stepMs: null })
    const whole = dying.post(COMPLETIONS, { prompt: "hi" })
    const streamed = dying.post(COMPLETIONS, { prompt: "hi", stream: true })
    await until(() => dying.fake.numLive() === 2, "both requests to arrive")
    dying.fake.core.die("secret reason")
    const message = expect.not.stringContaining("secret")
    expect((await whole).json.error).toMatchObject({ type: "InternalServerError", code: 500, message })
    const { status, events } = await streamed
    expect(status).toBe(200)
    expect(events).toEqual([{ error: expect.objectContaining({ type: "InternalServerError", code: 500 }) }, "[DONE]"])
    expect((await dying.send("GET", "/health")).status).toBe(503)
    expect((await dying.post(COMPLETIONS, { prompt: "hi" })).status).toBe(500)
    expect(dying.logLines.join("\n")).toContain("secret reason")
  })

  test("a full queue is a plain 429, also for a stream, that says when to come back", async () => {
    const full = makeApi({ stepMs: null, maxNumSeqs: 1, limits: { maxWaitingRequests: 1 } })
    const held = [1, 2].map(() => full.post(COMPLETIONS, { prompt: "hi", max_tokens: 1 }))
    await until(() => full.fake.numLive() === 2, "the queue to fill")
    for (const stream of [false, true]) {
      const { status, json, headers } = await full.post(COMPLETIONS, { prompt: "hi", stream })
      expect(status).toBe(429)
      expect(json.error).toMatchObject({ code: 429, type: "RateLimitError" })
      expect(headers.get("retry-after")).toBe("1")
    }
    while (full.fake.numLive() > 0) full.fake.core.step()
    for (const { status } of await Promise.all(held)) expect(status).toBe(200)
  })

  test("one key's requests do not take another's place", async () => {
    const api = { apiKeys: ["a", "b"] }
    const shared = makeApi({ stepMs: null, api, limits: { maxRequestsPerKey: 2 } })
    const ask = (key: string, fields: object = {}) =>
      shared.post(COMPLETIONS, { prompt: "hi", max_tokens: 1, ...fields }, { authorization: `Bearer ${key}` })
    const held = [ask("a"), ask("a", { stream: true })]
    await until(() => shared.fake.numLive() === 2, "both requests")
    const refused = await ask("a", { stream: true })
    expect([refused.status, refused.json.error.type]).toEqual([429, "RateLimitError"])
    const other = ask("b", { n: 2 })
    await until(() => shared.fake.numLive() === 4, "the other key's request")
    expect((await ask("b", { n: 3 })).json.error).toMatchObject({ code: 400, param: "n" })
    while (shared.fake.numLive() > 0) shared.fake.core.step()
    for (const { status } of await Promise.all([...held, other])) expect(status).toBe(200)
    const again = ask("a")
    await until(() => shared.fake.numLive() === 1, "the next request")
    shared.fake.core.step()
    expect((await again).status).toBe(200)
  })
})
