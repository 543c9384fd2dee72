import { describe, expect, test } from "bun:test"
import { makeApi } from "./harness.ts"
import type { Json } from "./harness.ts"

const api = makeApi()

describe("the page", () => {
  test("takes every file from this server", async () => {
    const page = await api.send("GET", "/docs")
    expect(page.headers.get("content-type")).toStartWith("text/html")
    const links = [...page.text.matchAll(/(?:href|src)="([^"]+)"/g)].map((match) => match[1]!)
    expect(links).toHaveLength(2)
    for (const link of links) {
      expect(link).not.toMatch(/^[a-z]+:|^\/\//)
      const { status, text } = await api.send("GET", `/${link}`)
      expect([link, status]).toEqual([link, 200])
      expect(text.length).toBeGreaterThan(100)
    }
  })

  test("names no other host, in its style sheet neither, and forbids the browser to ask one", async () => {
    const { text, headers } = await api.send("GET", "/docs")
    expect(text).not.toMatch(/https?:|\/\//)
    expect(headers.get("content-security-policy")).toStartWith("default-src 'self'")
    const style = (await api.send("GET", "/docs/swagger-ui.css")).text
    const loaded = [...style.matchAll(/(?:url\(|@import)\s*["']?([^"')\s]+)/g)].map((match) => match[1]!)
    expect(loaded.filter((url) => !url.startsWith("data:") && !url.startsWith("#"))).toEqual([])
    expect(text).toContain('"validatorUrl":null')
  })
})

describe("the document", () => {
  test("is at both of its paths, asked for with a key where others are", async () => {
    const [own, usual] = await Promise.all(["/docs/json", "/openapi.json"].map((path) => api.send("GET", path)))
    expect(usual!.status).toBe(200)
    expect(usual!.headers.get("content-type")).toBe(own!.headers.get("content-type"))
    expect(usual!.text).toBe(own!.text)
    expect((await makeApi({ api: { apiKeys: ["secret"] } }).send("GET", "/openapi.json")).status).toBe(401)
  })

  test("describes every endpoint, with the schemas that requests are checked by", async () => {
    const { json } = await api.send("GET", "/docs/json")
    expect(json.openapi).toBe("3.1.0")
    const operations = Object.entries(json.paths as Record<string, object>)
      .flatMap(([path, item]) => Object.keys(item).map((method) => `${method} ${path}`))
    expect(operations.toSorted()).toEqual([
      "delete /v1/responses/{response_id}",
      "get /docs",
      "get /docs/json",
      "get /health",
      "get /is_paused",
      "get /is_sleeping",
      "get /load",
      "get /metrics",
      "get /openapi.json",
      "get /ping",
      "get /ready",
      "get /server_info",
      "get /tokenizer_info",
      "get /v1/models",
      "get /v1/models/{model}",
      "get /v1/responses/{response_id}",
      "get /v1/responses/{response_id}/input_items",
      "get /v1/streams",
      "get /version",
      "post /abort_requests",
      "post /detokenize",
      "post /invocations",
      "post /pause",
      "post /ping",
      "post /reset_prefix_cache",
      "post /resume",
      "post /sleep",
      "post /tokenize",
      "post /v1/chat/completions",
      "post /v1/chat/completions/batch",
      "post /v1/chat/completions/render",
      "post /v1/completions",
      "post /v1/completions/render",
      "post /v1/messages",
      "post /v1/messages/count_tokens",
      "post /v1/messages/render",
      "post /v1/responses",
      "post /v1/responses/input_tokens",
      "post /v1/responses/render",
      "post /v1/responses/{response_id}/cancel",
      "post /wake_up",
    ])
    const completions = json.paths["/v1/completions"].post
    const { $ref } = completions.requestBody.content["application/json"].schema
    expect($ref).toBe("#/components/schemas/CompletionRequest")
    expect(Object.keys(json.components.schemas.CompletionRequest.properties)).toEqual(
      expect.arrayContaining(["prompt", "max_tokens", "temperature", "stream"]),
    )
    expect(Object.keys(completions.responses[200].content)).toEqual(["application/json", "text/event-stream"])
    const ids = Object.values(json.paths as Record<string, object>).flatMap((item) =>
      Object.values(item).map((operation: Json) => operation.operationId))
    expect(new Set(ids).size).toBe(ids.length)
  })
})
