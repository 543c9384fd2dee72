/** HTTP bodies as the OpenAPI document has them, spoiled as text and as bytes: no answer is a 500, no engine dies. */
import { expect } from "bun:test"
import { makeApi } from "../unit/api/harness.ts"
import type { Api } from "../unit/api/harness.ts"
import { randomRequest } from "../tools/random-request.ts"
import { operationsOf } from "../tools/openapi.ts"
import type { Operation } from "../tools/openapi.ts"
import { spoiledBytes } from "./spoil-bytes.ts"
import type { FuzzTarget } from "./target.ts"

const REPLY = "hm</think> Hello <tool_call>{\"name\": \"f\", \"arguments\": {}}</tool_call><|eos|>"
const JSON_TYPE = { "content-type": "application/json" }
/** What sets the engine to rest would leave nothing to try. */
const RESTS = ["/sleep", "/pause"]

let shared: { api: Api; operations: readonly Operation[] } | null = null

async function setUp(): Promise<{ api: Api; operations: readonly Operation[] }> {
  const api = makeApi({ reply: REPLY, api: { reasoningParser: "qwen3", toolParser: "hermes" } })
  const document = (await api.send("GET", "/docs/json")).json
  return { api, operations: operationsOf(document).filter(({ path }) => !RESTS.includes(path)) }
}

export const BODY_TARGET: FuzzTarget = {
  name: "bodies",
  async run(prng) {
    const { api, operations } = (shared ??= await setUp())
    const operation = prng.pick(operations)
    const { url, text } = randomRequest(operation, [], () => prng.float())
    let body: Uint8Array<ArrayBuffer> | undefined
    if (text !== undefined) {
      const bytes = new TextEncoder().encode(text)
      body = (prng.chance(0.5) ? bytes : spoiledBytes(bytes, prng)) as Uint8Array<ArrayBuffer>
    }
    const { status } = await api.send(operation.method, url, body, body === undefined ? {} : JSON_TYPE)
    const sent = body === undefined ? "" : new TextDecoder().decode(body.subarray(0, 1500))
    expect([operation.method, url.slice(0, 300), sent, status === 500]).toEqual(
      [operation.method, url.slice(0, 300), sent, false],
    )
    expect(api.fake.engine.deathReason()).toBeNull()
  },
}
