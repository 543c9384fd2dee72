/**
 * Walks /docs/json with requests that fit it and with spoiled ones: whatever is asked, there is no 500, the answer is
 * one that the document tells of, and the engine has nothing left to do. SEED repeats a run.
 */
import { describe, expect, test } from "bun:test"
import { ChatTemplate } from "../../../src/text/chat-template.ts"
import type { Random } from "../../tools/json-schema.ts"
import { operationsOf, untold } from "../../tools/openapi.ts"
import type { Operation } from "../../tools/openapi.ts"
import { randomRequest } from "../../tools/random-request.ts"
import { makeApi, until } from "../../unit/api/harness.ts"
import type { Api, Json } from "../../unit/api/harness.ts"

const NUM_CASES = 50
const SEED = Number(process.env["SEED"] ?? 1)
const TEMPLATE =
  "{% for m in messages %}{{ m.role }}: {{ m.content }}" +
  "{% if m.tool_calls %}{{ m.tool_calls | tojson }}{% endif %}\n{% endfor %}" +
  "{% if tools %}{{ tools | tojson }}{% endif %}{% if documents %}{{ documents | tojson }}{% endif %}" +
  "{% if add_generation_prompt %}assistant:{% endif %}"

const REPLY = "hm</think> Hello <tool_call>{\"name\": \"f\", \"arguments\": {}}</tool_call><|eos|>"

const document: Json = (await makeApi().send("GET", "/docs/json")).json

/** Mulberry32. */
function randomFrom(seed: number): Random {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

async function fuzz(api: Api, operation: Operation, ids: readonly string[], random: Random): Promise<void> {
  const { method } = operation
  const { url, text } = randomRequest(operation, ids, random)
  const headers = { "content-type": "application/json" }
  const answer = text === undefined ? await api.send(method, url) : await api.send(method, url, text, headers)
  const sent = `${url.slice(0, 300)} ${(text ?? "").slice(0, 1500)}`
  expect([sent, answer.status === 500, untold(operation, answer)]).toEqual([sent, false, []])
}

describe(`every operation, with SEED=${SEED}`, () => {
  for (const [i, operation] of operationsOf(document).entries()) {
    test(`${operation.method} ${operation.path}`, async () => {
      const parsers = i % 2 === 0 ? {} : { reasoningParser: "qwen3", toolParser: "hermes" } as const
      const api = makeApi({ reply: REPLY, chatTemplate: ChatTemplate.parse(TEMPLATE), api: parsers })
      const stored = { input: "hi", background: true, stream: true }
      const ids = [/resp_\w+/.exec((await api.post("/v1/responses", stored)).text)![0]]
      const random = randomFrom(SEED * 1000 + i)
      for (let n = 0; n < NUM_CASES; n++) await fuzz(api, operation, ids, random)
      await until(() => api.fake.numLive() === 0, "the engine to be idle")
    }, 30_000)
  }
})
