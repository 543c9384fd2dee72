import { describe, expect, test } from "bun:test"
import { Value } from "@sinclair/typebox/value"
import { ResponseItemList } from "../../../src/api/schema/responses.ts"
import { makeApi } from "./harness.ts"
import type { Api, Json } from "./harness.ts"

const PATH = "/v1/responses"
const makeResponses = () => makeApi({ reply: "Hello<|eos|>", api: { toolParser: "hermes" } })

async function create(api: Api, body: object): Promise<Json> {
  const { status, json, text } = await api.post(PATH, body)
  expect(status, text).toBe(200)
  return json
}

async function list(api: Api, id: string, query = ""): Promise<Json> {
  const { status, json } = await api.send("GET", `${PATH}/${id}/input_items${query}`)
  expect(status).toBe(200)
  expect([...Value.Errors(ResponseItemList, json)]).toEqual([])
  return json
}

const textOf = ({ content, output, id }: Json): string => content?.[0]?.text ?? output ?? id

describe("a response's input items", () => {
  test("are a text as a message with an id", async () => {
    const api = makeResponses()
    const { id } = await create(api, { input: "hi", instructions: "Be brief." })
    const items = await list(api, id)
    const item = {
      id: expect.stringMatching(/^msg_/), type: "message", role: "user", status: "completed",
      content: [{ type: "input_text", text: "hi" }],
    }
    expect(items).toEqual({
      object: "list", data: [item], first_id: items.data[0].id, last_id: items.data[0].id, has_more: false,
    })
    expect(await list(api, id)).toEqual(items)
  })

  test("are of every kind, each with its fields", async () => {
    const api = makeResponses()
    const call = { type: "function_call", call_id: "c", name: "add", arguments: "{}" }
    const parts = [{ type: "input_text", text: "b" }, { text: "c" }]
    const input = [
      { role: "system", content: "a" }, { role: "user", content: parts, id: "mine" }, { role: "assistant", content: "d" },
      { type: "reasoning", summary: [{ type: "summary_text", text: "e" }] }, call,
      { type: "function_call_output", call_id: "c", output: "3", status: "incomplete" },
    ]
    const { id } = await create(api, { input })
    const { data } = await list(api, id, "?order=asc")
    const status = "completed"
    expect(data).toEqual([
      { id: expect.stringMatching(/^msg_/), type: "message", role: "system", status,
        content: [{ type: "input_text", text: "a" }] },
      { id: "mine", type: "message", role: "user", status, content: [parts[0], { type: "input_text", text: "c" }] },
      { id: expect.stringMatching(/^msg_/), type: "message", role: "assistant", status,
        content: [{ type: "output_text", text: "d", annotations: [] }] },
      { ...input[3], id: expect.stringMatching(/^rs_/), status },
      { ...call, id: expect.stringMatching(/^fc_/), status },
      { ...input[5], id: expect.stringMatching(/^fco_/) },
    ])
  })

  test("begin with those of earlier responses, and what these said", async () => {
    const api = makeResponses()
    const first = await create(api, { input: "one" })
    const second = await create(api, { input: "two", previous_response_id: first.id })
    const reference = [{ type: "item_reference", id: second.output[0].id }, { role: "user", content: "three" }]
    const third = await create(api, { input: reference, previous_response_id: first.id })
    expect((await list(api, second.id, "?order=asc")).data.map(textOf)).toEqual(["one", "Hello", "two"])
    const { data } = await list(api, third.id, "?order=asc")
    expect(data.map(textOf)).toEqual(["one", "Hello", "Hello", "three"])
    expect([data[1], data[2]]).toEqual([first.output[0], second.output[0]])
  })

  test("come in pages, newest first where nothing else is said", async () => {
    const api = makeApi({ model: { maxModelLen: 1000 } })
    const texts = Array.from({ length: 45 }, (_, i) => `${i}`)
    const { id } = await create(api, { input: texts.map((content) => ({ role: "user", content })) })
    for (const [order, wanted] of [["asc", texts], ["desc", texts.toReversed()]] as const) {
      const seen: string[] = []
      for (let after = "", more = true; more;) {
        const page = await list(api, id, `?order=${order}&limit=7${after}`)
        expect([page.first_id, page.last_id]).toEqual([page.data[0].id, page.data.at(-1).id])
        seen.push(...page.data.map(textOf))
        after = `&after=${page.last_id}`
        more = page.has_more
      }
      expect(seen).toEqual([...wanted])
    }
    const page = await list(api, id)
    expect([page.data.length, textOf(page.data[0]), page.has_more]).toEqual([20, "44", true])
    const last = (await list(api, id, "?order=asc&limit=100")).last_id
    expect(await list(api, id, `?order=asc&after=${last}`))
      .toEqual({ object: "list", data: [], first_id: null, last_id: null, has_more: false })
  })

  test("have no id twice, so that pages come to an end", async () => {
    const api = makeResponses()
    const input = ["a", "b", "c"].map((content) => ({ role: "user", content, id: "same" }))
    const first = await create(api, { input })
    const second = await create(api, { input, previous_response_id: first.id })
    const ids = (await list(api, second.id)).data.map(({ id }: Json) => id)
    expect(new Set(ids).size).toBe(7)
  })

  test.each([
    ["limit=0", 400, "query.limit"], ["limit=101", 400, "query.limit"], ["limit=few", 400, "query.limit"],
    ["order=up", 400, "query.order"], ["after=nobody", 404, "after"],
  ])("refuse %s", async (query, wanted, param) => {
    const api = makeResponses()
    const { id } = await create(api, { input: "hi" })
    const { status, json } = await api.send("GET", `${PATH}/${id}/input_items?${query}`)
    expect([status, json.error.param]).toEqual([wanted, param])
  })

  test("are gone with their response, and are nobody else's", async () => {
    const api = makeApi({ api: { apiKeys: ["a", "b"] } })
    const mine = { authorization: "Bearer a" }
    const { json } = await api.post(PATH, { input: "hi" }, mine)
    const at = `${PATH}/${json.id}/input_items`
    expect((await api.send("GET", at, undefined, { authorization: "Bearer b" })).status).toBe(404)
    expect((await api.send("GET", at, undefined, mine)).status).toBe(200)
    await api.send("DELETE", `${PATH}/${json.id}`, undefined, mine)
    expect((await api.send("GET", at, undefined, mine)).status).toBe(404)
  })
})

describe("input tokens", () => {
  const count = async (api: Api, body: object): Promise<Json> => (await api.post(`${PATH}/input_tokens`, body)).json
  const tools = [{ type: "function", name: "f", parameters: {} }]

  test("are those that the response counts, which is not made", async () => {
    const api = makeResponses()
    const first = await create(api, { input: "hi" })
    for (const body of [
      { input: "hi" }, { input: [{ role: "user", content: "hi" }], instructions: "Be brief." }, { input: "hi", tools },
      { input: "and", previous_response_id: first.id }, { input: "hi", reasoning: { effort: "none" } },
    ]) {
      const counted = await count(api, body)
      const before = api.fake.core.added.length
      expect(counted).toEqual({ object: "response.input_tokens", input_tokens: expect.any(Number) })
      expect(api.fake.core.added.length).toBe(before)
      expect((await create(api, body)).usage.input_tokens).toBe(counted.input_tokens)
    }
  })

  test("are counted beyond the context, and of an earlier response alone", async () => {
    const api = makeResponses()
    expect((await count(api, { input: "x".repeat(300) })).input_tokens).toBeGreaterThan(300)
    const first = await create(api, { input: "hi" })
    expect((await count(api, { previous_response_id: first.id })).input_tokens).toBeGreaterThan(20)
  })

  test.each([
    [{}, 400, "input"], [{ input: "hi", model: "nope" }, 404, "model"],
    [{ input: "hi", previous_response_id: "resp_x" }, 404, "previous_response_id"],
    [{ input: "hi", conversation: "c" }, 400, "conversation"],
  ])("are refused of %j", async (body, status, param) => {
    const answer = await makeResponses().post(`${PATH}/input_tokens`, body)
    expect([answer.status, answer.json.error.param]).toEqual([status, param])
  })
})
