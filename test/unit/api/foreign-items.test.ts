/** Histories that another server began: their items are rendered or skipped, and no turn ends the conversation. */
import { describe, expect, test } from "bun:test"
import { makeApi } from "./harness.ts"
import type { Api, Json } from "./harness.ts"

const PATH = "/v1/responses"
const TEMPLATE =
  "{% for m in messages %}({{ m.role }}{% if m.reasoning %} <{{ m.reasoning }}>{% endif %} {{ m.content }}" +
  "{% for c in m.tool_calls or [] %} {{ c.id }}={{ c.function.name }}{{ c.function.arguments | tojson }}{% endfor %}" +
  "{% if m.tool_call_id %} of {{ m.tool_call_id }}{% endif %}){% endfor %}"
const OMITTED = "omitted: this model takes text only]"

const make = (): Api =>
  makeApi({ reply: "ok<|eos|>", model: { maxModelLen: 2048 }, api: { trustRequestChatTemplate: true } })

async function prompt(items: Json, api = make()): Promise<string> {
  const input = Array.isArray(items) ? [{ role: "user", content: "q" }, ...items] : items
  const { status, json, text } = await api.post(`${PATH}/render`, { input, chat_template: TEMPLATE })
  expect(status, text).toBe(200)
  return json.prompt
}

describe("what the client ran itself is rendered", () => {
  const action = { type: "exec", command: ["ls", "-l"], env: {} }
  const cases: [string, Json, string][] = [
    ["a custom tool's call", { type: "custom_tool_call", call_id: "c", name: "apply_patch", input: "*** Begin" },
      '(assistant  c=apply_patch{"input": "*** Begin"})'],
    ["its result", { type: "custom_tool_call_output", call_id: "c", output: "Done" }, "(tool Done of c)"],
    ["its parts", { type: "custom_tool_call_output", call_id: "c", output: [{ type: "input_text", text: "D" }] },
      "(tool D of c)"],
    ["a local shell's call", { type: "local_shell_call", id: "lsh", call_id: "c", status: "completed", action },
      '(assistant  c=local_shell{"type": "exec", "command": ["ls", "-l"], "env": {}})'],
    ["one without its own id", { type: "local_shell_call", id: "lsh", call_id: null, action: {} },
      "(assistant  lsh=local_shell{})"],
    ["its output", { type: "local_shell_call_output", id: "c", output: '{"out":"a"}' }, '(tool {"out":"a"} of c)'],
    ["a shell's call", { type: "shell_call", call_id: "c", action: { commands: ["ls"] } },
      '(assistant  c=shell{"commands": ["ls"]})'],
    ["its output", {
      type: "shell_call_output", call_id: "c", output: [{ stdout: "a", stderr: "", outcome: { type: "timeout" } }],
    }, '(tool {"stdout":"a","stderr":"","outcome":{"type":"timeout"}} of c)'],
    ["a patch", { type: "apply_patch_call", call_id: "c", operation: { type: "delete_file", path: "p" } },
      '(assistant  c=apply_patch{"type": "delete_file", "path": "p"})'],
    ["its status", { type: "apply_patch_call_output", call_id: "c", status: "failed" }, "(tool failed of c)"],
    ["a screen", { type: "computer_call_output", call_id: "c", output: { type: "computer_screenshot", image_url: "" } },
      `(tool [computer_screenshot ${OMITTED} of c)`],
  ]
  test.each(cases)("%s", async (_, item, want) => expect(await prompt([item])).toBe(`(user q)${want}`))

  test("calls of one turn are one message, of whatever kind", async () => {
    const items = [
      { role: "assistant", content: "I look." },
      { type: "custom_tool_call", call_id: "a", name: "x", input: "1" },
      { type: "function_call", call_id: "b", name: "f", arguments: "{}" },
      { type: "custom_tool_call_output", call_id: "a", output: "A" },
      { type: "function_call_output", call_id: "b", output: "B" },
    ]
    expect(await prompt(items)).toBe('(user q)(assistant I look. a=x{"input": "1"} b=f{})(tool A of a)(tool B of b)')
  })
})

describe("what another server ran, or kept to itself, is skipped", () => {
  const cases: Json[] = [
    { type: "web_search_call", id: "ws_1", status: "completed", action: { type: "search", query: "q" } },
    { type: "file_search_call", id: "fs_1", queries: ["q"], results: null },
    { type: "image_generation_call", id: "ig_1", result: "aGk=" },
    { type: "code_interpreter_call", id: "ci_1", code: "1", outputs: [{ type: "logs", logs: "1" }] },
    { type: "mcp_list_tools", id: "m_1", server_label: "s", tools: [{ name: "f", input_schema: {} }] },
    { type: "mcp_call", id: "m_2", name: "f", arguments: "{}", output: "x", server_label: "s" },
    { type: "mcp_approval_request", id: "m_3", name: "f", arguments: "{}", server_label: "s" },
    { type: "mcp_approval_response", approval_request_id: "m_3", approve: true },
    { type: "tool_search_call", call_id: "t", arguments: { query: "q" }, execution: "client" },
    { type: "tool_search_output", call_id: "t", tools: [{ type: "function", name: "f" }] },
    { type: "compaction", encrypted_content: "gAAAA" },
    { type: "compaction_summary", encrypted_content: "gAAAA" },
    { type: "ghost_snapshot", ghost_commit: { id: "x" } },
    { type: "reasoning", id: "rs_1", summary: [], encrypted_content: "gAAAA" },
  ]
  test.each(cases)("%j", async (item) => {
    const behind = { role: "assistant", content: [{ type: "output_text", text: "A" }] }
    expect(await prompt([item, behind, { role: "user", content: "r" }])).toBe("(user q)(assistant A)(user r)")
  })

  test("each kind is named in the log once", async () => {
    const api = make()
    for (let i = 0; i < 2; i++) await prompt([cases[0], cases[0], { type: "compaction", encrypted_content: "x" }], api)
    const lines = api.logLines.filter((line) => line.includes("another server"))
    expect(lines.map((line) => /type=(\w+)/.exec(line)?.[1])).toEqual(["web_search_call", "compaction"])
  })

  test("but what can be read of reasoning is not", async () => {
    const summary = [{ type: "summary_text", text: "hm" }]
    const item = { type: "reasoning", id: "rs_1", summary, encrypted_content: "gAAAA" }
    expect(await prompt([item, { role: "assistant", content: "A" }])).toBe("(user q)(assistant <hm> A)")
  })

  test("a kind that nobody knows is refused", async () => {
    const { status, json } = await make().post(PATH, { input: [{ type: "web_serch_call", id: "x" }] })
    expect([status, json.error.param]).toEqual([400, "input.0.type"])
  })
})

describe("a picture in the result of a function", () => {
  const output = (parts: Json[]) => [{ type: "function_call_output", call_id: "c", output: parts }]
  const image = { type: "input_image", image_url: "data:image/png;base64,aGk=", detail: "auto" }

  test("becomes a text in its place", async () => {
    const parts = [{ type: "input_text", text: "Image read" }, image, { type: "input_file", file_data: "aGk=" }]
    expect(await prompt(output(parts))).toBe(`(user q)(tool Image read\n[image ${OMITTED}\n[file ${OMITTED} of c)`)
  })

  test("is no picture of the user's, which is refused", async () => {
    const { status, json } = await make().post(PATH, { input: [{ role: "user", content: [image] }] })
    expect([status, json.error.param]).toEqual([400, "input.0.content.0"])
  })

  test("may be in a user's message right behind it, as no answer was between", async () => {
    const shown = { role: "user", content: [{ type: "input_text", text: "Attached:" }, image] }
    expect(await prompt([...output([{ type: "input_text", text: "read" }]), shown]))
      .toBe(`(user q)(tool read of c)(user Attached:\n[image ${OMITTED})`)
    const input = [...output([]), { role: "assistant", content: "A" }, shown]
    expect((await make().post(PATH, { input })).json.error.param).toBe("input.2.content.1")
  })

  test("is a text in a chat's tool message too, or right behind it, and no other", async () => {
    const api = make()
    const parts = [
      { type: "text", text: "Image read" }, { type: "image_url", image_url: { url: "data:image/png;base64,aGk=" } },
      { type: "input_audio", input_audio: { data: "" } },
    ]
    const want = `Image read\n[image ${OMITTED}\n[audio ${OMITTED}`
    const chat = (...turns: [role: string, content: Json][]) => api.post("/v1/chat/completions/render", {
      messages: [["user", "q"] as const, ...turns].map(([role, content]) => ({ role, content })), chat_template: TEMPLATE,
    })
    expect((await chat(["tool", parts])).json.prompt).toBe(`(user q)(tool ${want})`)
    expect((await chat(["tool", "r"], ["tool", "s"], ["user", parts])).json.prompt)
      .toBe(`(user q)(tool r)(tool s)(user ${want})`)
    expect((await chat(["user", parts])).json.error.param).toBe("messages.1.content.1")
    const { json } = await chat(["tool", "r"], ["assistant", "A"], ["user", parts])
    expect(json.error.param).toBe("messages.3.content.1")
    expect((await chat(["tool", [{ type: "text" }]])).json.error.param).toBe("messages.1.content.0")
  })
})

describe("no input", () => {
  const bodies = [{ input: [] }, { input: "" }, { input: [], tools: [], tool_choice: "auto" }]
  test.each(bodies)("is answered: %j", async (body) => {
    const { status, json } = await make().post(PATH, { ...body, max_output_tokens: 1 })
    expect([status, json.status]).toEqual([200, "incomplete"])
  })

  test("is an empty turn of the user's, behind the instructions", async () => {
    const api = make()
    const body = { input: [], instructions: "I", chat_template: TEMPLATE }
    expect((await api.post(`${PATH}/render`, body)).json.prompt).toBe("(system I)(user )")
    expect((await api.post(`${PATH}/input_tokens`, { input: [] })).json)
      .toEqual((await api.post(`${PATH}/input_tokens`, { input: "" })).json)
  })

  test("adds nothing to an earlier response", async () => {
    const api = make()
    const { json } = await api.post(PATH, { input: "one" })
    const body = { input: [], previous_response_id: json.id, chat_template: TEMPLATE }
    expect((await api.post(`${PATH}/render`, body)).json.prompt).toBe("(user one)(assistant ok)")
  })
})

test.each([
  { context_management: [{ type: "compaction", compact_threshold: 1000 }] }, { service_tier: "priority" },
  { service_tier: "flex" }, { text: { verbosity: "low" } }, { reasoning: { summary: "detailed" } },
])("%j changes nothing, and is said in the log once", async (fields) => {
  const api = make()
  for (let i = 0; i < 2; i++) expect((await api.post(PATH, { input: "q", ...fields })).status).toBe(200)
  expect(api.logLines.filter((line) => line.includes("WARNING"))).toEqual([expect.stringContaining("because=")])
})

test("truncate_prompt_tokens cuts a response's prompt", async () => {
  const api = make()
  await api.post(PATH, { input: "x".repeat(100), truncate_prompt_tokens: 9 })
  expect(api.fake.core.added.at(-1)!.promptTokenIds).toHaveLength(9)
})
