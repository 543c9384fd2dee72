/** Tools that clients of the Responses API such as Codex bring: which the model is shown, and what its calls become. */
import { describe, expect, test } from "bun:test"
import OpenAI from "openai"
import { Value } from "@sinclair/typebox/value"
import { ResponseEvent } from "../../../src/api/schema/response-events.ts"
import { ResponseObject } from "../../../src/api/schema/responses.ts"
import { makeApi } from "./harness.ts"
import type { Api, Answer, Json } from "./harness.ts"

const PATH = "/v1/responses"
const f = { type: "function", name: "f", parameters: { type: "object" } }
const close = { ...f, name: "close_agent", description: "Closes.", strict: false }
const agents = { type: "namespace", name: "agents", description: "d", tools: [close, { type: "custom", name: "note" }] }
const OTHERS = [
  { type: "web_search", external_web_access: false }, { type: "web_search_preview" }, { type: "local_shell" },
  { type: "shell", environment: { type: "local" } }, { type: "apply_patch" },
  { type: "custom", name: "p", format: { type: "text" } },
  { type: "file_search", vector_store_ids: ["v"] }, { type: "image_generation" }, { type: "tool_search" },
  { type: "code_interpreter", container: { type: "auto" } }, { type: "computer" },
  { type: "mcp", server_label: "s", server_url: "u", allowed_tools: ["x"], require_approval: "never" },
]
/** Shows the names of the tools, and of the calls in the history. */
const TEMPLATE =
  "{% for t in tools or [] %}[{{ t.function.name }}: {{ t.function.description }}]{% endfor %}" +
  "{% for m in messages %}({{ m.role }} {{ m.content }}" +
  "{% for c in m.tool_calls or [] %} {{ c.function.name }}{{ c.function.arguments | tojson }}{% endfor %}){% endfor %}"

function make(reply = "ok"): Api {
  const api = { trustRequestChatTemplate: true, toolParser: "hermes" } as const
  return makeApi({ reply: `${reply}<|eos|>`, tokensPerStep: 7, model: { maxModelLen: 2048 }, api })
}

const saying = (name: string): string => `<tool_call>{"name": "${name}", "arguments": {"x": 1}}</tool_call>`

async function prompt(body: object): Promise<string> {
  const answer = await make().post(`${PATH}/render`, { input: "q", chat_template: TEMPLATE, ...body })
  expect(answer.status, answer.text).toBe(200)
  return answer.json.prompt
}

async function refusal(body: object): Promise<Json> {
  const { status, json } = await make().post(PATH, { input: "q", ...body })
  expect([status, json.error?.type]).toEqual([400, "BadRequestError"])
  return json.error
}

function events({ text }: Answer): Json[] {
  return text.split("\n").filter((line) => line.startsWith("data: ")).map((line) => JSON.parse(line.slice(6)))
}

describe("tools that are no functions", () => {
  test.each(OTHERS)("are left out: %j", async (other) => {
    expect(await prompt({ tools: [f, other] })).toBe("[f: ](user q)")
    expect(await prompt({ tools: [other] })).toBe("(user q)")
    expect(await prompt({ tools: [other], tool_choice: "auto" })).toBe("(user q)")
  })

  test("are named in one line of the log, once, and told in the response as they came", async () => {
    const api = make()
    const tools = [f, agents, ...OTHERS]
    for (let i = 0; i < 2; i++) {
      const { status, json } = await api.post(PATH, { input: "q", tools })
      expect([status, [...Value.Errors(ResponseObject, json)], json.tool_choice]).toEqual([200, [], "auto"])
      expect(json.tools.slice(1)).toEqual([agents, ...OTHERS])
    }
    const lines = api.logLines.filter((line) => line.includes("left tools out"))
    expect(lines).toHaveLength(1)
    for (const { type } of OTHERS) expect(lines[0]).toContain(type)
    expect(lines[0]).toContain("namespace.custom")
  })

  test.each([
    ["required", "required", /"web_search" is left out/],
    ["a tool that is left out", { type: "web_search" }, /type "web_search"/],
    ["a custom tool", { type: "custom", name: "p" }, /type "custom"/],
  ] as const)("cannot be forced: %s", async (_, tool_choice, says) => {
    const error = await refusal({ tools: [{ type: "web_search" }], tool_choice })
    expect([error.param, error.message]).toEqual(["tool_choice", expect.stringMatching(says)])
  })

  test("are no reason to refuse a choice that needs no call, with tools or without", async () => {
    for (const tool_choice of ["auto", "none"]) {
      for (const tools of [[], [{ type: "web_search" }], null]) {
        const { status, json } = await make().post(PATH, { input: "q", tools, tool_choice, max_output_tokens: 1 })
        expect([status, json.tool_choice]).toEqual([200, tool_choice])
      }
    }
  })

  test("are not counted", async () => {
    const count = async (tools: Json[]) =>
      (await make().post(`${PATH}/input_tokens`, { input: "q", tools })).json.input_tokens
    expect(await count([f, ...OTHERS])).toBe(await count([f]))
  })
})

describe("functions of a namespace", () => {
  test("are shown under both names, the others of it left out", async () => {
    expect(await prompt({ tools: [f, agents] })).toBe("[f: ][agents__close_agent: Closes.](user q)")
  })

  const calls: [string, Json[], Json][] = [
    ["agents__close_agent", [agents], { name: "close_agent", namespace: "agents" }],
    ["close_agent", [agents], { name: "close_agent", namespace: "agents" }],
    ["close_agent", [agents, close], { name: "close_agent", namespace: null }],
    ["close_agent", [agents, { ...agents, name: "b" }], { name: "close_agent", namespace: null }],
    ["b__close_agent", [agents, { ...agents, name: "b" }], { name: "close_agent", namespace: "b" }],
    ["f", [f, agents], { name: "f", namespace: null }],
    ["unheard_of", [f, agents], { name: "unheard_of", namespace: null }],
  ]
  test.each(calls)("are called by %j of %j", async (name, tools, want) => {
    const whole = await make(saying(name)).post(PATH, { input: "q", tools })
    const call = { type: "function_call", arguments: '{"x": 1}', ...want }
    expect(whole.json.output).toEqual([expect.objectContaining(call)])
    expect([...Value.Errors(ResponseObject, whole.json)]).toEqual([])
    const all = events(await make(saying(name)).post(PATH, { input: "q", tools, stream: true }))
    for (const event of all) expect([...Value.Errors(ResponseEvent, event)], event.type).toEqual([])
    const items = all.filter(({ item }) => item !== undefined).map(({ item }) => item)
    expect(items).toEqual([expect.objectContaining(want), expect.objectContaining(want)])
    expect(all.find(({ type }) => type.endsWith("arguments.done")).name).toBe(want.name)
    expect(all.at(-1).response.output).toEqual([expect.objectContaining(want)])
  })

  test("stand in the history as they were shown: sent again, or of a stored response", async () => {
    const api = make(saying("agents__close_agent"))
    const { json } = await api.post(PATH, { input: "q", tools: [agents] })
    const output = { type: "function_call_output", call_id: json.output[0].call_id, output: "done" }
    const want = '[agents__close_agent: Closes.](user q)(assistant  agents__close_agent{"x": 1})(tool done)'
    const again = { tools: [agents], chat_template: TEMPLATE }
    const input = [{ role: "user", content: "q" }, json.output[0], output]
    const sent = await api.post(`${PATH}/render`, { ...again, input })
    expect(sent.json.prompt).toBe(want)
    const stored = await api.post(`${PATH}/render`, { ...again, input: [output], previous_response_id: json.id })
    expect(stored.json.prompt).toBe(want)
  })

  test("come to the openai client with their namespace", async () => {
    const { app } = make(saying("agents__close_agent"))
    const toApp = ((url: string, init?: RequestInit) => app.handle(new Request(url, init))) as unknown as typeof fetch
    const client = new OpenAI({ baseURL: "http://localhost/v1", apiKey: "none", maxRetries: 0, fetch: toApp })
    const tools = [agents as OpenAI.Responses.NamespaceTool]
    const streamed = await client.responses.stream({ model: "fake", input: "q", tools }).finalResponse()
    expect(streamed.output).toMatchObject([{ type: "function_call", name: "close_agent", namespace: "agents" }])
  })

  test.each([
    ["tools.0.name", { type: "namespace", tools: [close] }, /must have `name`/],
    ["tools.0.tools", { type: "namespace", name: "a" }, /must have `tools`/],
    ["tools.0.tools.0.name", { type: "namespace", name: "a", tools: [{ type: "function" }] }, /must have `name`/],
  ] as const)("are refused at %s", async (param, tool, says) => {
    expect(await refusal({ tools: [tool] })).toMatchObject({ param, message: expect.stringMatching(says) })
  })

  test("may not have the name of another", async () => {
    const { param, message } = await refusal({ tools: [{ ...f, name: "agents__close_agent" }, agents] })
    expect([param, message]).toEqual(["tools.1.tools.0.name", expect.stringContaining("agents__close_agent")])
  })
})

describe("a named choice", () => {
  test.each([
    [{ type: "function", name: "g" }, /"g" of tool_choice is not among/],
    [{ type: "function" }, /`name`/],
  ])("%j", async (tool_choice, says) => {
    expect((await refusal({ tools: [f, agents], tool_choice })).message).toMatch(says)
  })
})
