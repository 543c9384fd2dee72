import { describe, expect, test } from "bun:test"
import { Value } from "@sinclair/typebox/value"
import { ResponseEvent } from "../../../src/api/schema/response-events.ts"
import { ResponseObject } from "../../../src/api/schema/responses.ts"
import { makeApi, until } from "./harness.ts"
import type { Answer, Api, Json } from "./harness.ts"

const PATH = "/v1/responses"
const WHOLE = "Hello there<|eos|>"
const tool = { type: "function", name: "add", parameters: { type: "object" } }

function events(answer: Answer): Json[] {
  return answer.text.split("\n").filter((line) => line.startsWith("data: ")).map((line) => JSON.parse(line.slice(6)))
}

/** The text of the prompt that the engine was last asked to go on with. */
function lastPrompt({ fake }: Api): string {
  return fake.tokenizer.decode(fake.core.added.at(-1)!.promptTokenIds)
}

async function refused(api: Api, body: object): Promise<Json> {
  const answer = await api.post(PATH, { input: "hi", ...body })
  expect(answer.status).toBeGreaterThanOrEqual(400)
  return answer.json.error
}

describe("a response", () => {
  test("has every field, and fits its schema", async () => {
    const { status, json } = await makeApi({ reply: WHOLE }).post(PATH, {
      input: "hi", instructions: "Be brief.", metadata: { k: "v" }, user: "u", temperature: 0.5,
    })
    expect(status).toBe(200)
    expect([...Value.Errors(ResponseObject, json)]).toEqual([])
    expect(json).toMatchObject({
      object: "response", status: "completed", model: "fake", instructions: "Be brief.", metadata: { k: "v" },
      temperature: 0.5, top_p: 1, tool_choice: "none", tools: [], store: true, incomplete_details: null,
      usage: { input_tokens: 40, output_tokens: 12, total_tokens: 52, input_tokens_details: { cached_tokens: 0 } },
    })
    expect(json.output).toEqual([{
      id: expect.stringMatching(/^msg_/), type: "message", role: "assistant", status: "completed", phase: null,
      content: [{ type: "output_text", text: "Hello there", annotations: [], logprobs: null }],
    }])
  })

  test("says when it was cut short", async () => {
    const { json } = await makeApi({ reply: WHOLE }).post(PATH, { input: "hi", max_output_tokens: 5 })
    expect(json).toMatchObject({
      status: "incomplete", incomplete_details: { reason: "max_output_tokens" }, max_output_tokens: 5,
    })
    expect(json.output[0].content[0].text).toBe("Hello")
  })

  test("has log-probabilities where they are included", async () => {
    const include = ["message.output_text.logprobs"]
    const { json } = await makeApi({ reply: WHOLE }).post(PATH, {
      input: "hi", include, top_logprobs: 2, max_output_tokens: 2,
    })
    const { logprobs } = json.output[0].content[0]
    expect(logprobs.map(({ token }: Json) => token)).toEqual(["H", "e"])
    expect(logprobs[0].top_logprobs).toHaveLength(2)
    expect([...Value.Errors(ResponseObject, json)]).toEqual([])
  })
})

describe("input items", () => {
  const prompt = async (body: object): Promise<string> => {
    const api = makeApi({ reply: WHOLE })
    const { status, text } = await api.post(PATH, { max_output_tokens: 1, ...body })
    expect(status, text).toBe(200)
    return lastPrompt(api)
  }

  test("become the template's messages, instructions first", async () => {
    const input = [
      { role: "developer", content: "D" },
      { type: "message", role: "user", content: [{ type: "input_text", text: "U" }] },
      { type: "message", role: "assistant", content: [{ type: "output_text", text: "A", annotations: [] }] },
      { role: "user", content: "V" },
    ]
    expect(await prompt({ input, instructions: "I" })).toBe(
      "<|im_start|>system\nI\n\nD<|im_end|>\n<|im_start|>user\nU<|im_end|>\n" +
        "<|im_start|>assistant\nA<|im_end|>\n<|im_start|>user\nV<|im_end|>\n<|im_start|>assistant\n",
    )
  })

  test("of calls, results and reasoning come with the tools", async () => {
    const template =
      "{% for m in messages %}({{ m.role }}{% if m.reasoning %} {{ m.reasoning }}{% endif %}" +
      "{% for c in m.tool_calls or [] %} {{ c.function.name }}:{{ c.function.arguments.a }}{% endfor %}" +
      " {{ m.content }}){% endfor %}" +
      "{% for t in tools %}[{{ t.function.name }}]{% endfor %}"
    const api = makeApi({ reply: WHOLE, api: { trustRequestChatTemplate: true, toolParser: "hermes" } })
    const input = [
      { role: "user", content: "q" },
      { type: "reasoning", id: "rs_1", summary: [], content: [{ type: "reasoning_text", text: "hm" }] },
      { type: "function_call", call_id: "c1", name: "add", arguments: "{\"a\": 1}" },
      { type: "function_call", call_id: "c2", name: "add", arguments: "{\"a\": 2}" },
      { type: "function_call_output", call_id: "c1", output: "one" },
      { type: "function_call_output", call_id: "c2", output: [{ type: "input_text", text: "two" }] },
    ]
    const { status, json } = await api.post(PATH, { input, tools: [tool], chat_template: template })
    expect(status).toBe(200)
    expect(lastPrompt(api)).toBe("(user q)(assistant hm add:1 add:2 )(tool one)(tool two)[add]")
    expect(json).toMatchObject({ tool_choice: "auto", tools: [{ ...tool, strict: null, description: null }] })
  })

  test("that cannot be put before the model are refused by their path", async () => {
    const api = makeApi({ reply: WHOLE })
    const cases: [string, Json][] = [
      ["input.0.content.0", [{ role: "user", content: [{ type: "input_image", image_url: "x" }] }]],
      ["input.0.content.0", [{ role: "user", content: [{ type: "input_text" }] }]],
      ["input.0.role", [{ content: "x" }]],
      ["input.0.content", [{ role: "user" }]],
      ["input.1.call_id", [{ role: "user", content: "x" }, { type: "function_call", name: "f", arguments: "{}" }]],
      ["input.0.output", [{ type: "function_call_output", call_id: "c" }]],
      ["input.0.type", [{ type: "massage", id: "x" }]],
      ["input.0.id", [{ type: "item_reference", id: "msg_0" }]],
    ]
    for (const [param, input] of cases) expect(await refused(api, { input })).toMatchObject({ param })
    expect(await refused(api, { input: null })).toMatchObject({ type: "Bad Request", param: "body.input" })
  })
})

describe("fields that cannot be honoured are refused by name", () => {
  const api = makeApi({ reply: WHOLE })
  const cases: [string, object][] = [
    ["prompt", { prompt: { id: "p" } }],
    ["conversation", { conversation: "c" }],
    ["messages", { messages: [] }],
    ["max_tokens", { max_tokens: 5 }],
    ["response_format", { response_format: { type: "text" } }],
    ["n", { n: 2 }],
    ["use_beam_search", { use_beam_search: true }],
    ["include.0", { include: ["everything"] }],
    ["stream_options.include_obfuscation", { stream: true, stream_options: { include_obfuscation: true } }],
    ["tools.0.name", { tools: [{ type: "function" }] }],
    ["tool_choice", { tool_choice: "required" }],
    ["metadata", { metadata: { k: "v".repeat(513) } }],
    ["previous_response_id", { previous_response_id: "resp_x" }],
    ["background", { background: true, store: false }],
    ["max_output_tokens", { max_output_tokens: 0 }],
    ["temperature", { temperature: 3 }],
    ["model", { model: "nope" }],
  ]
  test.each(cases)("%s %j", async (param, body) => expect(await refused(api, body)).toMatchObject({ param }))

  test("values that ask for nothing pass", async () => {
    const nothing = {
      tools: [], tool_choice: "none", text: { format: { type: "text" }, verbosity: "medium" }, n: 1,
      service_tier: "auto", reasoning: { effort: "low", summary: "auto" },
      include: ["reasoning.encrypted_content"], prompt_cache_key: "k",
      stream_options: { include_obfuscation: false }, stream: true, truncation: "disabled", max_tool_calls: 1,
    }
    const fresh = makeApi({ reply: WHOLE })
    expect((await fresh.post(PATH, { input: "hi", ...nothing })).status).toBe(200)
    expect(fresh.logLines.filter((line) => /unknown.*field=(?!n$)/m.test(line))).toEqual([])
  })
})

describe("a stream", () => {
  test("has OpenAI's events in order, numbered, each as its schema says", async () => {
    const answer = await makeApi({ reply: WHOLE, tokensPerStep: 6 }).post(PATH, { input: "hi", stream: true })
    const all = events(answer)
    expect(all.map(({ type }) => type.replace("response.", ""))).toEqual([
      "created", "in_progress", "output_item.added", "content_part.added", "output_text.delta", "output_text.delta",
      "output_text.done", "content_part.done", "output_item.done", "completed",
    ])
    expect(all.map(({ sequence_number }) => sequence_number)).toEqual([...all.keys()])
    for (const event of all) expect([...Value.Errors(ResponseEvent, event)], event.type).toEqual([])
    expect(answer.text).toStartWith("event: response.created\ndata: {")
    expect(answer.text).not.toContain("[DONE]")
    expect(all.filter(({ delta }) => delta).map(({ delta }) => delta).join("")).toBe("Hello there")
  })

  test("ends with the response that is given without one", async () => {
    const body = { input: "hi", max_output_tokens: 4, seed: 1 }
    const [whole, streamed] = [await makeApi().post(PATH, body), await makeApi().post(PATH, { ...body, stream: true })]
    const last = events(streamed).at(-1)
    expect(last.type).toBe("response.incomplete")
    const ids = { id: "", created_at: 0, output: [{ ...whole.json.output[0], id: "" }] }
    expect({ ...last.response, ...ids, output: [{ ...last.response.output[0], id: "" }] })
      .toEqual({ ...whole.json, ...ids })
  })

  test("is a plain refusal where the engine has no room, and tells of a later failure in an event", async () => {
    const full = makeApi({ stepMs: null, maxNumSeqs: 1, limits: { maxWaitingRequests: 1 } })
    for (let i = 0; i < 2; i++) void full.post("/v1/completions", { prompt: "x" })
    await until(() => full.fake.numLive() === 2, "the queue")
    for (const body of [{}, { stream: true }, { background: true }]) {
      expect((await full.post(PATH, { input: "hi", ...body })).status).toBe(429)
    }
    const api = makeApi({ stepMs: null })
    const streaming = api.post(PATH, { input: "hi", stream: true })
    await until(() => api.fake.numLive() === 1, "the request")
    api.fake.core.step()
    api.fake.core.die("broken")
    const last = events(await streaming).at(-1)
    const response = { status: "failed", error: { code: "server_error" } }
    expect(last).toMatchObject({ type: "response.failed", response })
    expect((await api.send("GET", `${PATH}/${last.response.id}`)).json.status).toBe("failed")
  })
})

describe("stored responses", () => {
  test("are gone on from, without the earlier instructions", async () => {
    const api = makeApi({ reply: WHOLE })
    const first = await api.post(PATH, { input: "one", instructions: "I" })
    const second = await api.post(PATH, { input: "two", previous_response_id: first.json.id })
    expect(second.json.previous_response_id).toBe(first.json.id)
    await api.post(PATH, { input: "three", previous_response_id: second.json.id })
    const turn = (role: string, text: string) => `<|im_start|>${role}\n${text}<|im_end|>\n`
    const answer = turn("assistant", "Hello there")
    expect(lastPrompt(api)).toBe(
      turn("user", "one") + answer + turn("user", "two") + answer + turn("user", "three") + "<|im_start|>assistant\n",
    )
  })

  test("lend their items by reference", async () => {
    const api = makeApi({ reply: WHOLE })
    const { json } = await api.post(PATH, { input: "one" })
    const input = [{ type: "item_reference", id: json.output[0].id }, { role: "user", content: "two" }]
    expect((await api.post(PATH, { input })).status).toBe(200)
    expect(lastPrompt(api)).toContain("Hello there")
  })

  test("are found, and not found once deleted", async () => {
    const api = makeApi({ reply: WHOLE })
    const { json } = await api.post(PATH, { input: "hi" })
    expect((await api.send("GET", `${PATH}/${json.id}`)).json).toEqual(json)
    const deleted = await api.send("DELETE", `${PATH}/${json.id}`)
    expect(deleted.json).toEqual({ id: json.id, object: "response", deleted: true })
    for (const method of ["GET", "DELETE"]) {
      const { status, json: { error } } = await api.send(method, `${PATH}/${json.id}`)
      expect([status, error.type, error.param]).toEqual([404, "invalid_request_error", "response_id"])
    }
    expect((await api.send("PUT", `${PATH}/${json.id}`)).status).toBe(405)
  })

  test("are not kept where they should not be", async () => {
    const api = makeApi({ reply: WHOLE })
    const { json } = await api.post(PATH, { input: "hi", store: false })
    expect(json.store).toBe(false)
    expect((await api.send("GET", `${PATH}/${json.id}`)).status).toBe(404)
    const off = makeApi({ reply: WHOLE, api: { responseStore: { maxResponses: 0, maxBytes: 0 } } })
    expect((await off.post(PATH, { input: "hi" })).json.store).toBe(false)
    expect(await refused(off, { store: true })).toMatchObject({ param: "store" })
    expect(await refused(off, { background: true })).toMatchObject({ param: "background" })
  })

  test("make room for newer ones, the least recently used first", async () => {
    const api = makeApi({ reply: WHOLE, api: { responseStore: { maxResponses: 2, maxBytes: 1e6 } } })
    const make = async (): Promise<string> => (await api.post(PATH, { input: "hi" })).json.id
    const isThere = async (id: string) => (await api.send("GET", `${PATH}/${id}`)).status === 200
    const [a, b] = [await make(), await make()]
    expect(await isThere(a)).toBe(true)
    const c = await make()
    expect([await isThere(a), await isThere(b), await isThere(c)]).toEqual([true, false, true])
    const small = makeApi({ reply: WHOLE, api: { responseStore: { maxResponses: 100, maxBytes: 3000 } } })
    const first = (await small.post(PATH, { input: "hi" })).json.id
    await small.post(PATH, { input: "hi" })
    await small.post(PATH, { input: "hi" })
    expect((await small.send("GET", `${PATH}/${first}`)).status).toBe(404)
  })

  test("are their key's alone", async () => {
    const api = makeApi({ reply: WHOLE, api: { apiKeys: ["a", "b"] } })
    const mine = { authorization: "Bearer a" }
    const yours = { "x-api-key": "b" }
    const { json } = await api.post(PATH, { input: "hi" }, mine)
    const path = `${PATH}/${json.id}`
    const read = async (headers: Record<string, string>) => (await api.send("GET", path, undefined, headers)).status
    expect([await read(mine), await read(yours)]).toEqual([200, 404])
    const next = { input: "on", previous_response_id: json.id }
    expect((await api.post(PATH, next, yours)).status).toBe(404)
    const reference = { input: [{ type: "item_reference", id: json.output[0].id }] }
    expect((await api.post(PATH, reference, yours)).status).toBe(404)
    expect((await api.post(PATH, next, mine)).status).toBe(200)
  })

  test("of a client that went away are cancelled", async () => {
    const api = makeApi({ stepMs: null })
    const gone = new AbortController()
    const request = new Request(`http://localhost${PATH}`, {
      method: "POST", headers: { "content-type": "application/json" },
      body: JSON.stringify({ input: "hi", request_id: "mine" }), signal: gone.signal,
    })
    const answer = api.app.handle(request)
    await until(() => api.fake.numLive() === 1, "the request")
    gone.abort()
    expect((await answer).status).toBe(499)
    expect(api.fake.numLive()).toBe(0)
    expect((await api.send("GET", `${PATH}/resp_mine`)).json.status).toBe("cancelled")
  })
})

describe("in the background", () => {
  const start = async (api: Api, body: object = {}): Promise<string> => {
    const { status, json } = await api.post(PATH, { input: "hi", background: true, ...body })
    expect([status, json.status]).toEqual([200, "queued"])
    return json.id
  }
  const poll = async (api: Api, id: string): Promise<Json> => (await api.send("GET", `${PATH}/${id}`)).json
  const ended = async (api: Api, id: string): Promise<Json> => {
    for (let i = 0; i < 1000; i++) {
      const response = await poll(api, id)
      if (response.status !== "queued" && response.status !== "in_progress") return response
      await Bun.sleep(1)
    }
    throw new Error("the response does not end")
  }

  test("a response is polled until it is there", async () => {
    const api = makeApi({ reply: WHOLE, stepMs: null })
    const id = await start(api)
    api.fake.core.step()
    expect((await poll(api, id)).output).toEqual([])
    expect(await refused(api, { previous_response_id: id })).toMatchObject({ param: "previous_response_id" })
    for (let i = 0; i < 12; i++) api.fake.core.step()
    const output = [{ content: [{ text: "Hello there" }] }]
    expect(await ended(api, id)).toMatchObject({ status: "completed", output })
  })

  test("a response is cancelled once, with what it has", async () => {
    const api = makeApi({ stepMs: null, reply: "Hello there" })
    const id = await start(api, { stream: false })
    const cancelled = await api.send("POST", `${PATH}/${id}/cancel`)
    expect([cancelled.status, cancelled.json.status]).toEqual([200, "cancelled"])
    expect(api.fake.numLive()).toBe(0)
    expect((await api.send("POST", `${PATH}/${id}/cancel`)).json.status).toBe("cancelled")
    const done = (await makeApi().post(PATH, { input: "hi" })).json.id
    expect((await api.send("POST", `${PATH}/${done}/cancel`)).status).toBe(404)
    const whole = (await api.send("GET", `${PATH}/${id}`)).json
    expect([...Value.Errors(ResponseObject, whole)]).toEqual([])
  })

  test("a finished response, and one in the foreground, cannot be cancelled", async () => {
    const api = makeApi({ reply: WHOLE })
    for (const background of [true, false]) {
      const { id } = (await api.post(PATH, { input: "hi", background })).json
      await ended(api, id)
      const { status, json } = await api.send("POST", `${PATH}/${id}/cancel`)
      expect([status, json.error.type, json.error.param]).toEqual([400, "invalid_request_error", "response_id"])
    }
  })

  test("a stream can be left and taken up again, and the response goes on meanwhile", async () => {
    const api = makeApi({ reply: WHOLE, stepMs: null })
    const leaving = new AbortController()
    const request = new Request(`http://localhost${PATH}`, {
      method: "POST", headers: { "content-type": "application/json" },
      body: JSON.stringify({ input: "hi", background: true, stream: true }), signal: leaving.signal,
    })
    const reader = (await api.app.handle(request)).body!.getReader()
    const first = JSON.parse(new TextDecoder().decode((await reader.read()).value).split("data: ")[1]!)
    expect(first).toMatchObject({ type: "response.created", response: { status: "queued" } })
    await reader.cancel()
    leaving.abort()
    const { id } = first.response
    const again = api.send("GET", `${PATH}/${id}?stream=true&starting_after=0`)
    for (let i = 0; i < 13; i++) api.fake.core.step()
    const rest = events(await again)
    expect(rest.map(({ type }) => type).slice(0, 3))
      .toEqual(["response.queued", "response.in_progress", "response.output_item.added"])
    expect(rest[0].sequence_number).toBe(1)
    expect(rest.at(-1).type).toBe("response.completed")
    // And once more after the end, all of it.
    expect(events(await api.send("GET", `${PATH}/${id}?stream=true`))).toHaveLength(rest.length + 1)
  })

  test("what was not streamed cannot be streamed later", async () => {
    const api = makeApi({ reply: WHOLE })
    const { id } = (await api.post(PATH, { input: "hi" })).json
    for (const [query, param] of [["stream=true", "stream"], ["starting_after=1", "starting_after"],
      ["stream=maybe", "query.stream"], ["stream=true&starting_after=x", "query.starting_after"]] as const) {
      const { status, json } = await api.send("GET", `${PATH}/${id}?${query}`)
      expect([status, json.error.param]).toEqual([400, param])
    }
  })

  test("pending responses are never forgotten: one too many is refused", async () => {
    const api = makeApi({ stepMs: null, api: { responseStore: { maxResponses: 2, maxBytes: 1e6 } } })
    const ids = [await start(api), await start(api)]
    expect((await api.post(PATH, { input: "hi", background: true })).status).toBe(503)
    for (const id of ids) expect((await poll(api, id)).status).toBe("queued")
    expect(api.fake.numLive()).toBe(2)
    await api.send("DELETE", `${PATH}/${ids[0]}`)
    await until(() => api.fake.numLive() === 1, "the abort of a deleted response")
  })
})

describe("truncation", () => {
  const turns = Array.from({ length: 20 }, (_, i) => {
    return { role: i % 2 === 0 ? "user" : "assistant", content: `turn ${i}` }
  })

  test("auto drops the oldest messages, keeps the instructions, and leaves room for the answer", async () => {
    const api = makeApi({ reply: WHOLE })
    expect(await refused(api, { input: turns })).toMatchObject({ param: "input_tokens" })
    const body = { input: turns, instructions: "I", truncation: "auto", max_output_tokens: 40 }
    expect((await api.post(PATH, body)).status).toBe(200)
    const prompt = lastPrompt(api)
    expect(prompt).toStartWith("<|im_start|>system\nI<|im_end|>\n")
    expect(prompt).toContain("turn 19")
    const kept = [...prompt.matchAll(/turn (\d+)/g)].map((match) => Number(match[1]))
    expect(kept).toEqual(Array.from({ length: kept.length }, (_, i) => 20 - kept.length + i))
    const length = api.fake.core.added.at(-1)!.promptTokenIds.length
    expect(length).toBeLessThanOrEqual(216)
    expect(length).toBeGreaterThan(216 - 30)
  })

  test("auto cannot help where the last message alone is too long", async () => {
    const error = await refused(makeApi(), { input: "x".repeat(300), truncation: "auto" })
    expect(error).toMatchObject({ param: "input_tokens" })
  })
})
