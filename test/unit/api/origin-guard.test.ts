import { describe, expect, test } from "bun:test"
import { makeApi } from "./harness.ts"

const CORS = { allowedMethods: ["*"], allowedHeaders: ["*"], allowCredentials: false }

type Row = [what: string, headers: Record<string, string>, isServed: boolean]

function check(rows: Row[], api: Parameters<typeof makeApi>[0] = {}): void {
  const { send, fake } = makeApi(api)
  test.each(rows)("%s", async (_, headers, isServed) => {
    for (const [method, path] of [["GET", "/health"], ["POST", "/reset_prefix_cache"], ["POST", "/pause"]] as const) {
      const { status, json } = await send(method, path, undefined, headers)
      if (isServed) expect(status).toBe(200)
      else expect([status, json.error.type, json.error.code]).toEqual([403, "PermissionDeniedError", 403])
    }
    expect(fake.engine.control.isPaused).toBe(isServed)
    await fake.engine.control.resume()
  })
}

describe("without a key: hosts", () => {
  check([
    ["none", {}, true],
    ["an empty one", { host: "" }, true],
    ...["127.0.0.1", "127.0.0.1:8000", "10.1.2.3:80", "[::1]", "[::1]:8000", "localhost", "LocalHost:8000",
      "localhost.", "app.localhost:1"].map((host): Row => [host, { host }, true]),
    ...["evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example", "1.2.3", "[::1",
      "evil.example@localhost", "a b", "%00", "localhost:x", "xlocalhost"].map((host): Row => [host, { host }, false]),
  ])
})

describe("without a key: hosts that were allowed", () => {
  const allowedHosts = ["llm.example", "Other.example:81"]
  check([
    ["a name, with any port", { host: "LLM.example:8000" }, true],
    ["a name with its port", { host: "other.example:81" }, true],
    ["a name with another port", { host: "other.example:82" }, false],
    ["a name below it", { host: "a.llm.example" }, false],
    ["still an address", { host: "127.0.0.1" }, true],
  ], { api: { allowedHosts } })
  check([["any", { host: "evil.example" }, true]], { api: { allowedHosts: ["*"] } })
})

describe("without a key: pages", () => {
  const host = "127.0.0.1:8000"
  check([
    ["of the server's own", { host, origin: "http://127.0.0.1:8000" }, true],
    ["of its own behind https", { host: "localhost", origin: "https://localhost" }, true],
    ["of another port", { host, origin: "http://127.0.0.1:3000" }, false],
    ["of another name for it", { host, origin: "http://localhost:8000" }, false],
    ["of another site", { host, origin: "https://evil.example" }, false],
    ["of nowhere", { host, origin: "null" }, false],
    ["of an application", { host, origin: "app://127.0.0.1:8000" }, false],
    ["of another site, without an origin", { host, "sec-fetch-site": "cross-site" }, false],
    ["of its own, as the browser says", { host, "sec-fetch-site": "same-origin" }, true],
    ["typed into the browser", { host, "sec-fetch-site": "none" }, true],
    ["with an origin but no host", { origin: "http://127.0.0.1:8000" }, false],
  ])
})

describe("without a key: pages that were allowed", () => {
  const cors = { ...CORS, allowedOrigins: ["https://app.example", "app://notes"] }
  const host = "127.0.0.1:8000"
  check([
    ["by name", { host, origin: "https://app.example", "sec-fetch-site": "cross-site" }, true],
    ["applications too", { host, origin: "app://notes" }, true],
    ["others not", { host, origin: "https://evil.example" }, false],
    ["under a host of their own", { host: "app.example", origin: "https://app.example" }, false],
  ], { api: { cors } })
  check([["any", { host, origin: "https://evil.example", "sec-fetch-site": "cross-site" }, true]],
    { api: { cors: { ...CORS, allowedOrigins: ["*"] } } })
})

test("a browser that asks first is refused as the request would be", async () => {
  const headers = { host: "127.0.0.1", origin: "https://evil.example", "access-control-request-method": "POST" }
  expect((await makeApi().send("OPTIONS", "/v1/completions", undefined, headers)).status).toBe(403)
})

test("with a key, hosts and origins are as they like", async () => {
  const { send } = makeApi({ api: { apiKeys: ["key"] } })
  const headers = { host: "evil.example", origin: "https://evil.example", "sec-fetch-site": "cross-site" }
  expect((await send("POST", "/reset_prefix_cache", undefined, headers)).status).toBe(401)
  const authorized = { ...headers, authorization: "Bearer key" }
  expect((await send("POST", "/reset_prefix_cache", undefined, authorized)).status).toBe(200)
})

test("Anthropic's clients are told in their form", async () => {
  const { json } = await makeApi().post("/v1/messages", {}, { host: "evil.example" })
  expect(json).toEqual({
    type: "error", error: { type: "permission_error", message: expect.stringContaining("--allowed-hosts") },
  })
})

test.each(["/v1/responses/%", "/v1/responses/%ff", "/v1/models/%E0%A4%A", "/%", "/v1/messages/%"])(
  "%s is no path", async (path) => {
    for (const method of ["GET", "POST", "DELETE"]) {
      const { status, json } = await makeApi().send(method, path)
      expect([status, JSON.stringify(json)]).toEqual([400, expect.stringContaining("percent-encoded")])
    }
  },
)
