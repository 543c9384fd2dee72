import { expect, test } from "bun:test"
import { makeApi } from "./harness.ts"
import type { Answer } from "./harness.ts"

const PATH = "/invocations"
const api = makeApi({ reply: "Hello<|eos|>" })
const messages = [{ role: "user", content: "hi" }]
const SENT = { seed: 1, request_id: "r" }

function withoutTime({ json, events }: Answer): unknown {
  return [json === null ? null : { ...json, created: 0 }, events.map((event) => ({ ...event, created: 0 }))]
}

test.each([
  ["/v1/chat/completions", { messages }],
  ["/v1/chat/completions", { messages, prompt: "hi" }],
  ["/v1/chat/completions", { messages, stream: true, stream_options: { include_usage: true } }],
  ["/v1/completions", { prompt: ["hi", "ho"], n: 2, temperature: 1 }],
  ["/v1/completions", { prompt: "hi", stream: true }],
])("gives what %s gives for %j", async (path, body) => {
  const [invoked, direct] = [await api.post(PATH, { ...body, ...SENT }), await api.post(path, { ...body, ...SENT })]
  expect([invoked.status, withoutTime(invoked)]).toEqual([200, withoutTime(direct)])
})

test.each([
  [{ messages: "hi" }, "body.messages"],
  [{ prompt: 5 }, "body.prompt"],
  [{ prompt: "hi", temperature: 9 }, "temperature"],
  [{ input: "hi" }, null],
  [[], null],
])("refuses %j and names the field", async (body, param) => {
  const { status, json } = await api.post(PATH, body)
  expect([status, json.error.param]).toEqual([400, param])
  if (param === null) expect(json.error.message).toMatch(/Cannot find suitable handler.*`messages`.*`prompt`/)
})

test("a stream of it can be gone on with", async () => {
  const body = { messages, stream: true, stream_options: { resumable: true } }
  const { text } = await api.post(PATH, body)
  const ids = [...text.matchAll(/^id: (.*)$/gm)].map((match) => match[1]!)
  const rest = await api.post(PATH, body, { "last-event-id": ids[0]! })
  expect([...rest.text.matchAll(/^id: (.*)$/gm)].map((match) => match[1]!)).toEqual(ids.slice(1))
})
