/**
 * What vLLM answers to requests that are wrong, held against what we answer: status, type and code of the error. Only
 * cases that the fake engine can judge as well as a real model; the others are compared in the end-to-end suite.
 */
import { describe, expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { fixture } from "../../fixtures.ts"
import { makeApi } from "./harness.ts"
import type { Json } from "./harness.ts"

interface Case {
  readonly name: string
  readonly method?: string
  readonly path: string
  readonly body?: unknown
  readonly raw?: string
  readonly headers?: Record<string, string>
  /**
   * "either": the reference drops something in silence or refuses what others accept; both a 2xx and a 4xx are right.
   */
  readonly compare?: string
  readonly answer: { readonly status: number; readonly json?: Json }
}

/** Where our param is another on purpose: pydantic names its own classes. */
const OWN_PARAMS: Readonly<Record<string, string>> = {
  "http/not-json": "body",
  "chat/refuse/message-null": "body.messages.0",
  "chat/refuse/content-number": "body.messages.0.content",
  "chat/refuse/image": "messages.0.content.0",
}

/** Where our code is another on purpose: clients make the conversation shorter by themselves when they read it. */
const OWN_CODES: Readonly<Record<string, string>> = {
  "completions/refuse/too-long": "context_length_exceeded",
  "chat/refuse/too-long": "context_length_exceeded",
}

const GROUPS = /^(completions\/refuse|chat\/refuse|http)\/|^(completions|chat)\/n-|\/(unknown-model|no-prompt)$/
const path = fixture("vllm-api/recording.json")
const recording = path === null ? [] : (JSON.parse(readFileSync(path, "utf8")) as Case[])
/** No grammar is compiled here; the real engine has this case. */
const NEEDS_GRAMMARS = "completions/refuse/bad-regex"
const cases = recording.filter(({ name }) => GROUPS.test(name) && name !== NEEDS_GRAMMARS)

describe.skipIf(path === null)("the recorded refusals", () => {
  const model = { servedNames: ["smollm2"], maxModelLen: 2048, vocabSize: 49_152, root: "smollm2" }
  const api = makeApi({ reply: "ok<|eos|>", model })

  test.each(cases.map((recorded) => [recorded.name, recorded] as const))("%s", async (name, recorded) => {
    const { answer } = recorded
    const headers = {
      ...(recorded.body === undefined ? {} : { "content-type": "application/json" }),
      ...recorded.headers,
    }
    const text = recorded.raw ?? (recorded.body === undefined ? undefined : JSON.stringify(recorded.body))
    const body = text === undefined ? undefined : new Uint8Array(Buffer.from(text))
    const got = await api.send(recorded.method ?? "POST", recorded.path, body, headers)
    if (recorded.compare === "either") {
      expect(got.status).toBeLessThan(500)
      if (got.status >= 400) expect(got.json?.error?.message ?? got.json?.detail).toBeString()
      return
    }
    expect(got.status).toBe(answer.status)
    if (answer.json?.error === undefined) return
    const { type, code, param } = answer.json.error
    expect(got.json.error).toMatchObject({ type, code: OWN_CODES[name] ?? code, param: OWN_PARAMS[name] ?? param })
  })
})
