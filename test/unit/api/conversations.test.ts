/** How conversations are put into the form that a chat template takes. */
import { describe, expect, spyOn, test } from "bun:test"
import { ChatTemplate } from "../../../src/text/chat-template.ts"
import { makeApi } from "./harness.ts"
import type { ApiSetup, Json } from "./harness.ts"

const RENDER = "/v1/chat/completions/render"
const JSON_TYPE = { "content-type": "application/json" }
const LINES = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}"
const PARTS = "{% for m in messages %}[{{ m.role }}]{% for p in m.content %}{{ p.text }}{% endfor %}{% endfor %}"

type Message = readonly [role: string, content: unknown, more?: object]
const said = (messages: readonly Message[]) => messages.map(([role, content, more]) => ({ role, content, ...more }))

const trusting = (setup: ApiSetup = {}) =>
  makeApi({ ...setup, model: { maxModelLen: 4096 }, api: { trustRequestChatTemplate: true, ...setup.api } })
/** A server whose own template is `source`. */
const serving = (source: string, setup: ApiSetup = {}) =>
  makeApi({ ...setup, chatTemplate: ChatTemplate.parse(source), model: { maxModelLen: 4096 } })

/** The prompt, or the words of the refusal. */
async function prompt(api: ReturnType<typeof makeApi>, body: object | string): Promise<string> {
  const text = typeof body === "string" ? body : JSON.stringify(body)
  const { json } = await api.send("POST", RENDER, text, JSON_TYPE)
  return json.prompt ?? json.error.message
}

describe("a template that refuses a conversation as it is", () => {
  const refuse = (test: string, words: string) => `{% if ${test} %}{{ raise_exception('${words}') }}{% endif %}`
  const eachOf = (body: string) => LINES.replace("%}[", `%}${body}[`)
  /** One system message in front, then turns of user and assistant. */
  const STRICT = "{% if messages[0].role == 'system' %}[system]{{ messages[0].content }}{% set rest = messages[1:] %}" +
    "{% else %}{% set rest = messages %}{% endif %}{% for m in rest %}" +
    "{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}" +
    "[{{ m.role }}]{{ m.content }}{% endfor %}"
  const TEMPLATES = {
    one: eachOf(refuse("m.role == 'system' and not loop.first", "one system message")),
    none: eachOf(refuse("m.role == 'system'", "no system messages")),
    strict: STRICT,
    turns: eachOf(refuse("(m.role == 'user') != (loop.index0 % 2 == 0)", "roles must alternate")),
    any: LINES,
  }
  const cases: [name: keyof typeof TEMPLATES, messages: Message[], expected: string][] = [
    ["one", [["system", "A"], ["system", "B"], ["user", "q"]], "[system]A\n\nB[user]q"],
    ["one", [["system", "A"], ["user", "q"], ["user", "r"]], "[system]A[user]q[user]r"],
    ["one", [["system", "A"], ["user", "q"], ["assistant", "a"], ["system", "B"], ["user", "r"]],
      "[system]A[user]q[assistant]a[user]B\n\nr"],
    ["one", [["user", "q"], ["system", "B"], ["assistant", "a"], ["user", "r"]], "[user]q\n\nB[assistant]a[user]r"],
    ["one", [["user", "q"], ["assistant", "a"], ["system", "B"]], "[user]q[assistant]a[user]B"],
    ["one", [["system", "A"], ["system", ""], ["user", "q"]], "[system]A[user]q"],
    ["none", [["system", "A"], ["system", "B"], ["user", "q"]], "[user]A\n\nB\n\nq"],
    ["none", [["system", "A"], ["assistant", "a"], ["user", "q"], ["user", "r"]], "[user]A[assistant]a[user]q[user]r"],
    ["none", [["system", "A"]], "[user]A"],
    ["strict", [["user", "q"], ["user", "r"], ["assistant", "a"], ["assistant", "b"], ["user", "s"]],
      "[user]q\n\nr[assistant]a\n\nb[user]s"],
    ["strict", [["system", "A"], ["system", "B"], ["user", "q"], ["system", "C"], ["user", "r"]],
      "[system]A\n\nB[user]q\n\nC\n\nr"],
    ["turns", [["user", "q"], ["user", "r"]], "[user]q\n\nr"],
    ["turns", [["system", "A"], ["user", "q"], ["user", "r"]], "[user]A\n\nq\n\nr"],
    // Never for others.
    ["any", [["system", "A"], ["system", "B"], ["user", "q"], ["user", "r"], ["system", "C"]],
      "[system]A[system]B[user]q[user]r[system]C"],
  ]
  test.each(cases)("%s: %j", async (name, messages, expected) => {
    const source = TEMPLATES[name]
    expect(await prompt(trusting(), { messages: said(messages), chat_template: source })).toBe(expected)
    expect(await prompt(serving(source), { messages: said(messages) })).toBe(expected)
  })

  test("hears its own words where no form helps", async () => {
    const messages = said([["system", "A"], ["system", "B"], ["user", "q"]])
    const own = (source: string) => prompt(trusting(), { messages, chat_template: source })
    expect(await own("{{ raise_exception('never') }}")).toBe("never")
    expect(await own(eachOf(refuse("m.content == 'q'", "no q")))).toBe("no q")
  })

  test("has contents in parts where it takes them so", async () => {
    const strict = PARTS.replace("%}[", `%}${refuse("m.role == 'system' and not loop.first", "one")}[`)
    const parts = [{ type: "text", text: "B" }, { type: "text", text: "C" }]
    const messages = said([["system", "A"], ["system", parts], ["user", parts]])
    expect(await prompt(trusting(), { messages, chat_template: strict })).toBe("[system]A\n\nB\nC[user]BC")
  })

  test("keeps the calls of joined messages", async () => {
    const calls = "{% for c in m.tool_calls or [] %}={{ c.function.name }}{% endfor %}"
    const source = STRICT.replace("{{ m.content }}{% endfor %}", `{{ m.content }}${calls}{% endfor %}`)
    const call = (name: string) => ({ tool_calls: [{ id: "c", type: "function", function: { name } }] })
    const messages = said([["user", "q"], ["assistant", "a", call("f")], ["assistant", "b", call("g")]])
    expect(await prompt(trusting(), { messages, chat_template: source })).toBe("[user]q[assistant]a\n\nb=f=g")
  })

  test("has calls that were made at once one after the other, each with its result", async () => {
    const source = "{% for m in messages %}{% if m.tool_calls and m.tool_calls | length != 1 %}" +
      "{{ raise_exception('one at a time') }}{% endif %}[{{ m.role }}]{{ m.content }}" +
      "{% for c in m.tool_calls or [] %}={{ c.function.name }}{% endfor %}{% endfor %}"
    const calls = ["f", "g", "h"].map((name) => ({ id: `id-${name}`, type: "function", function: { name } }))
    const result = (name: string, id?: string): Message => ["tool", name, id === undefined ? {} : { tool_call_id: id }]
    const ask = (...results: Message[]) => prompt(trusting(), {
      messages: said([["user", "q"], ["assistant", "a", { tool_calls: calls }], ...results, ["user", "r"]]),
      chat_template: source,
    })
    const inTurn = "[user]q[assistant]a=f[tool]F[assistant]=g[tool]G[assistant]=h[tool]H[user]r"
    expect(await ask(result("F", "id-f"), result("G", "id-g"), result("H", "id-h"))).toBe(inTurn)
    expect(await ask(result("H", "id-h"), result("F", "id-f"), result("G", "id-g"))).toBe(inTurn)
    expect(await ask(result("F"), result("G"), result("H"))).toBe(inTurn)
    expect(await ask()).toBe("[user]q[assistant]a=f[assistant]=g[assistant]=h[user]r")
  })

  test("the model's, which leaves later system messages out, has them in the user's turns", async () => {
    const source = "{% if messages[0].role == 'system' %}[system]{{ messages[0].content }}{% endif %}" +
      "{% for m in messages if m.role != 'system' %}[{{ m.role }}]{{ m.content }}{% endfor %}"
    const messages = said([
      ["system", "A"], ["system", "B"], ["user", "q"], ["assistant", "a"], ["system", "C"], ["user", "r"],
    ])
    expect(await prompt(serving(source), { messages })).toBe("[system]A\n\nB[user]q[assistant]a[user]C\n\nr")
    // A template that writes texts in its own way leaves nothing out.
    const upper = serving("{% for m in messages %}[{{ m.role }}]{{ m.content | upper }}{% endfor %}")
    expect(await prompt(upper, { messages }))
      .toBe("[system]A[system]B[user]Q[assistant]A[system]C[user]R")
    const lower = said([["system", "be brief"], ["system", "b"], ["user", "q"], ["user", "r"]])
    expect(await prompt(upper, { messages: lower })).toBe("[system]BE BRIEF[system]B[user]Q[user]R")
    // What a request's own template leaves out is its author's business.
    expect(await prompt(trusting(), { messages, chat_template: source })).toBe("[system]A[user]q[assistant]a[user]r")
  })
})

describe("developers' messages", () => {
  const messages = said([["system", "S"], ["developer", "D"], ["user", "q"], ["developer", "E"]])

  test("are the system's, in one message in front, where the template does not name the role", async () => {
    for (const source of [LINES, PARTS])
      expect(await prompt(trusting(), { messages, chat_template: source })).toBe("[system]S\n\nD\n\nE[user]q")
    const one = said([["developer", "D"], ["user", "q"]])
    expect(await prompt(trusting(), { messages: one, chat_template: LINES })).toBe("[system]D[user]q")
    const late = said([["user", "q"], ["developer", "D"], ["system", ""]])
    expect(await prompt(trusting(), { messages: late, chat_template: LINES })).toBe("[system]D[user]q")
  })

  test("stay where they are for one that does, and system messages do so without any", async () => {
    const names = `{# knows 'developer' #}{% if messages[0].role == 'developer' %}{% endif %}${LINES}`
    expect(await prompt(trusting(), { messages, chat_template: names }))
      .toBe("[system]S[developer]D[user]q[developer]E")
    const systems = said([["system", "S"], ["user", "q"], ["system", "T"]])
    expect(await prompt(trusting(), { messages: systems, chat_template: LINES })).toBe("[system]S[user]q[system]T")
  })
})

describe("a last message that the model goes on with", () => {
  const goOn = { continue_final_message: true, add_generation_prompt: false }
  const TRIMMED = LINES.replace("{{ m.content }}", "\n{{ m.content | trim }}<end>")
  const ask = (source: string, content: unknown, before = "q") =>
    prompt(trusting(), { messages: said([["user", before], ["assistant", content]]), chat_template: source, ...goOn })

  test("is found whatever it says", async () => {
    const source = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    const mark = "[[the message goes on here]]"
    for (const content of ["<", "end", "", " ", "\n", "q", "im_end|>", "a\n\n", "é😀", mark]) {
      expect(await ask(source, content)).toBe(`<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\n${content}`)
      const parts = PARTS.replace("{% endfor %}{% endfor %}", "{% endfor %}<|im_end|>{% endfor %}")
      expect(await ask(parts, [{ type: "text", text: "A" }, { type: "text", text: content }], content))
        .toBe(`[user]${content}<|im_end|>[assistant]A${content}`)
    }
    expect(await ask(source, null)).toEndWith("<|im_start|>assistant\n")
  })

  test("is trimmed where the template trims", async () => {
    for (const [content, expected] of [[" a b \n", "a b"], ["", ""], ["\n", ""], ["  ", ""], ["<end>", "<end>"]])
      expect(await ask(TRIMMED, content)).toBe(`[user]\nq<end>[assistant]\n${expected}`)
  })

  test("must be written out, and have a text", async () => {
    expect(await ask("{{ messages[0].content }}", "x")).toContain("a last message that the chat template writes out")
    const call = { id: "c", type: "function", function: { name: "f" } }
    const messages = [{ role: "user", content: "q" }, { role: "assistant", content: null, tool_calls: [call] }]
    expect(await prompt(trusting(), { messages, chat_template: LINES, ...goOn })).toContain("tool calls alone")
  })

  test("is Anthropic's prefill", async () => {
    for (const content of ["<", "", [{ type: "text", text: "user" }], []]) {
      const body = { max_tokens: 2, messages: [{ role: "user", content: "q" }, { role: "assistant", content }] }
      const api = makeApi()
      const { status } = await api.post("/v1/messages", body)
      expect(status).toBe(200)
      const text = typeof content === "string" ? content : (content[0]?.text ?? "")
      expect(api.fake.tokenizer.decode(api.fake.core.added.at(-1)!.promptTokenIds))
        .toBe(`<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\n${text}`)
    }
  })
})

describe("what goes into a prompt as it is written", () => {
  const call = (json: unknown) => ({ id: "c", type: "function", function: { name: "f", arguments: json } })
  const ARGUMENTS = "{{ messages[1].tool_calls[0].function.arguments | tojson }}"
  const asked = (sent: unknown) => ({
    messages: [{ role: "user", content: "q" }, { role: "assistant", content: null, tool_calls: [call(sent)] }],
    chat_template: ARGUMENTS,
  })

  test("are numbers, in arguments, tools, documents and variables", async () => {
    const numbers = '{"id":2512292042121000001,"x":1.0,"y":1e20,"z":[-0.0,7,0.5]}'
    const expected = '{"id": 2512292042121000001, "x": 1.0, "y": 1e+20, "z": [-0.0, 7, 0.5]}'
    expect(await prompt(trusting(), asked(numbers))).toBe(expected)
    expect(await prompt(trusting(), JSON.stringify(asked("HERE")).replace('"HERE"', numbers))).toBe(expected)
    const raw = `{"messages":[{"role":"user","content":"q"}],"temperature":1.0,"seed":9223372036854775807,
      "tools":[{"type":"function","function":{"name":"f","parameters":${numbers}}}],"tool_choice":"none",
      "documents":[${numbers}],"chat_template_kwargs":{"v":${numbers}},
      "chat_template":"{{ [tools[0].function.parameters, documents[0], v] | tojson }}{{ v.x }}"}`
    expect(await prompt(trusting(), raw)).toBe(`[${expected}, ${expected}, ${expected}]1.0`)
  })

  test("are numbers of Anthropic's tool_use.input and of tools of responses, which are told as they came", async () => {
    const template = "{% for m in messages %}{% for c in m.tool_calls or [] %}{{ c.function.arguments | tojson }}" +
      "{% endfor %}{% endfor %}{{ tools[0].function.parameters | tojson }}"
    const api = serving(template, { reply: "ok<|eos|>", api: { toolParser: "hermes" } })
    const sent = async (path: string, body: string): Promise<[string, string]> => {
      const { status, text } = await api.send("POST", path, body, JSON_TYPE)
      expect([status, status === 200 ? "" : text]).toEqual([200, ""])
      return [api.fake.tokenizer.decode(api.fake.core.added.at(-1)!.promptTokenIds), text]
    }
    const [prompted] = await sent("/v1/messages", `{"max_tokens":2,"messages":[{"role":"user","content":"q"},
      {"role":"assistant","content":[
        {"type":"tool_use","id":"t","name":"f","input":{"id":2512292042121000001,"x":1.0}}]},
      {"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":"r"}]}],
      "tools":[{"name":"f","input_schema":{"maximum":1e20}}]}`)
    expect(prompted).toBe('{"id": 2512292042121000001, "x": 1.0}{"maximum": 1e+20}')
    const [again, answer] = await sent("/v1/responses", `{"input":"q","tools":[
      {"type":"function","name":"f","parameters":{"default":1.0,"maximum":9223372036854775807}}]}`)
    expect(again).toBe('{"default": 1.0, "maximum": 9223372036854775807}')
    expect(answer).toContain('"parameters":{"default":1.0,"maximum":9223372036854775807}')
  })

  test("is no argument that is no object, which is an empty one, and noted", async () => {
    const broken = [
      '{"a": "cut o', "null", "[]", "42", "1.0", '"text"', '{"a": "l1\nl2"}', "nope", [1], 42, true, null, "",
      `${'{"a":'.repeat(20_000)}1${"}".repeat(20_000)}`, `{"a": ${"9".repeat(5000)}}`,
    ]
    for (const sent of broken) {
      const api = trusting()
      expect(await prompt(api, asked(sent))).toBe("{}")
      const isNoted = api.logLines.some((line) => line.includes("messages.1.tool_calls.0.function.arguments"))
      expect(isNoted).toBe(sent !== null && sent !== "" && sent !== undefined)
    }
    expect(await prompt(trusting(), asked('{"a": [1]}'))).toBe('{"a": [1]}')
    const item = { type: "function_call", call_id: "c", name: "f", arguments: '{"a": ' }
    const input = [{ role: "user", content: "q" }, item, { type: "function_call_output", call_id: "c", output: "r" }]
    const { status } = await trusting().post("/v1/responses", { input, chat_template: ARGUMENTS, max_output_tokens: 1 })
    expect(status).toBe(200)
  })

  test("is a tool's result, as one text", async () => {
    const parts = [{ type: "text", text: "a" }, { type: "text", text: "b" }]
    for (const [content, expected] of [[parts, "a\nb"], ["a", "a"], [[], ""], [null, ""]]) {
      const messages = said([["user", "q"], ["tool", content, { tool_call_id: "c" }]])
      const looping = "{% for m in messages %}{% if m.role == 'tool' %}[{{ m.content }}]{% else %}" +
        "{% for p in m.content %}{{ p.text }}{% endfor %}{% endif %}{% endfor %}"
      expect(await prompt(trusting(), { messages, chat_template: looping })).toBe(`q[${expected}]`)
      expect(await prompt(trusting(), { messages, chat_template: LINES })).toBe(`[user]q[tool]${expected}`)
    }
  })
})

describe("tools that the model's template has no place for", () => {
  const tools = [{ type: "function", function: { name: "get_weather", description: "d", parameters: { maximum: 1 } } }]
  const calls = [{ id: "abc", type: "function", function: { name: "get_weather", arguments: '{"city": "Rome"}' } }]
  const history = said([
    ["user", "q"], ["assistant", "I look.", { tool_calls: calls }], ["tool", "sunny", { tool_call_id: "abc" }],
  ])
  const api = { toolParser: "hermes" } as const
  const WRITTEN = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Rome"}}\n</tool_call>'

  test("are in the system message, in the form that the parser reads", async () => {
    const text = await prompt(serving(LINES, { api }), { messages: said([["system", "S"], ["user", "q"]]), tools })
    expect(text).toMatch(/^\[system\]S\n\n[^]*\[user\]q$/)
    expect(text).toContain(JSON.stringify(tools[0]!.function))
    expect(text).toContain("<tool_call>\n")
    const llama = serving(PARTS, { api: { toolParser: "llama3_json" } })
    const without = await prompt(llama, { messages: said([["user", "q"]]), tools })
    expect(without).toMatch(/^\[system\][^]*get_weather[^]*"parameters"[^]*\[user\]q$/)
    expect(without).not.toContain("<tool_call>")
  })

  test("are in the user's turn where there is no system message either", async () => {
    for (const raises of [true, false]) {
      const system = raises ? "{{ raise_exception('none') }}" : ""
      const source = `{% for m in messages %}{% if m.role == 'system' %}${system}{% else %}` +
        "[{{ m.role }}]{{ m.content }}{% endif %}{% endfor %}"
      const text = await prompt(serving(source, { api }), { messages: said([["user", "q"]]), tools })
      expect(text).toMatch(/^\[user\][^]*get_weather[^]*\n\nq$/)
    }
  })

  test("have their earlier calls and results as texts", async () => {
    expect(await prompt(serving(LINES, { api }), { messages: history }))
      .toBe(`[user]q[assistant]I look.\n${WRITTEN}[tool]sunny`)
    const users = "{% for m in messages if m.role in ['user', 'assistant'] %}[{{ m.role }}]{{ m.content }}{% endfor %}"
    expect(await prompt(serving(users, { api }), { messages: history }))
      .toBe(`[user]q[assistant]I look.\n${WRITTEN}[user]<tool_response>\nsunny\n</tool_response>`)
  })

  test("are left to a template that has a place, and to one that a request brings along", async () => {
    const knows = "{% for t in tools or [] %}<{{ t.function.name }}>{% endfor %}{% for m in messages %}[{{ m.role }}]" +
      "{{ m.content }}{% for c in m.tool_calls or [] %}={{ c.function.name }}{% endfor %}{% endfor %}"
    expect(await prompt(serving(knows, { api }), { messages: history, tools }))
      .toBe("<get_weather>[user]q[assistant]I look.=get_weather[tool]sunny")
    const body = { messages: history, tools, chat_template: LINES }
    expect(await prompt(trusting({ api }), body)).toBe("[user]q[assistant]I look.[tool]sunny")
  })
})

test("adjustments are the same for every way to ask", async () => {
  const one = "{% if m.role == 'system' and not loop.first %}{{ raise_exception('one') }}{% endif %}"
  const api = serving(LINES.replace("%}[", `%}${one}[`))
  const messages = said([["system", "A"], ["system", "B"], ["user", "q"]])
  const expected = api.fake.tokenizer.encode("[system]A\n\nB[user]q", { addSpecialTokens: false })
  const { json: tokens } = await api.post("/tokenize", { messages })
  expect(tokens.tokens).toEqual(expected)
  const { json: counted } = await api.post("/v1/responses/input_tokens", { input: messages })
  expect((counted as Json).input_tokens).toBe(expected.length)
})

test("a template that goes past a limit is rendered once, and in no other form", async () => {
  const endless = "{% for a in range(99999999) %}{% endfor %}"
  const api = makeApi({ chatTemplate: ChatTemplate.parse(endless) })
  const spy = spyOn(ChatTemplate.prototype, "render")
  const messages = [{ role: "system", content: "a" }, { role: "system", content: "b" }, { role: "user", content: "c" }]
  const { status, json } = await api.post("/v1/chat/completions", { messages })
  const numRenders = spy.mock.calls.length
  spy.mockRestore()
  expect([status, json.error.message, numRenders]).toEqual([400, expect.stringContaining("more than"), 1])
})
