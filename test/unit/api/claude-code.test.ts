/** What Claude Code and others of Anthropic's clients send beside the conversation, and in it. */
import { describe, expect, test } from "bun:test"
import { Value } from "@sinclair/typebox/value"
import { MessageObject } from "../../../src/api/schema/anthropic.ts"
import { makeApi } from "./harness.ts"
import type { Api, Json } from "./harness.ts"

const PATH = "/v1/messages"
const COUNT = `${PATH}/count_tokens`
const hi = [{ role: "user", content: "hi" }]

const make = (): Api => makeApi({ reply: "ok<|eos|>", model: { maxModelLen: 1024 }, api: { toolParser: "hermes" } })

async function prompt(body: object): Promise<string> {
  const answer = await make().post(`${PATH}/render`, { max_tokens: 5, messages: hi, ...body })
  expect(answer.status, answer.text).toBe(200)
  return answer.json.prompt
}

const text = (words: string): Json => ({ type: "text", text: words })
const turn = (role: string, text: string): string => `<|im_start|>${role}\n${text}<|im_end|>\n`
const END = "<|im_start|>assistant\n"

describe("fields", () => {
  const accepted: [string, Json][] = [
    ["context_management", { edits: [{ type: "clear_thinking_20251015", keep: "all" }] }],
    ["context_management", { edits: [{ type: "clear_tool_uses_20250919", keep: { type: "tool_uses", value: 5 } }] }],
    ["context_management", []],
    ["speed", "fast"],
    ["service_tier", "priority"],
  ]
  test.each(accepted)("%s %j is taken, and said in the log once", async (field, value) => {
    const api = make()
    for (let i = 0; i < 2; i++) {
      expect((await api.post(PATH, { max_tokens: 5, messages: hi, [field]: value })).status).toBe(200)
    }
    expect((await make().post(COUNT, { messages: hi, [field]: value })).status).toBe(200)
    const lines = api.logLines.filter((line) => line.includes(`field=${field}`))
    expect(lines).toEqual([expect.stringContaining("because=")])
  })

  test.each([
    { service_tier: "auto" }, { service_tier: "standard_only" }, { speed: "standard" }, { mcp_servers: [] },
    { context_management: null }, { speed: null },
  ])("%j asks for nothing", async (fields) => {
    const api = make()
    expect((await api.post(PATH, { max_tokens: 5, messages: hi, ...fields })).status).toBe(200)
    expect(api.logLines.filter((line) => line.startsWith("WARNING"))).toEqual([])
  })

  test("tools of Anthropic's own are left out, and said in the log once", async () => {
    const own = { name: "f", input_schema: { type: "object" } }
    const builtIn = [{ type: "web_search_20250305", name: "web_search" }, { type: "bash_20250124", name: "bash" }]
    expect(await prompt({ tools: [...builtIn, own] })).toContain("[1 tools]")
    expect(await prompt({ tools: builtIn, tool_choice: { type: "auto" } })).not.toContain("tools]")
    const api = make()
    for (let i = 0; i < 2; i++) await api.post(COUNT, { messages: hi, tools: builtIn })
    expect(api.logLines.filter((line) => line.includes("bash_20250124,web_search_20250305"))).toHaveLength(1)
    for (const [tools, tool_choice] of [
      [builtIn, { type: "any" }], [builtIn, { type: "tool", name: "bash" }],
      [[...builtIn, own], { type: "tool", name: "bash" }],
    ]) {
      const { status, json } = await api.post(PATH, { max_tokens: 5, messages: hi, tools, tool_choice })
      expect(status).toBe(400)
      expect(json.error.message).toMatch(/_20250.*only custom tools can be called/)
    }
  })

  test("of less context than there is are honoured where they can be", async () => {
    const api = make()
    const messages = [{ role: "user", content: "x".repeat(100) }]
    await api.post(PATH, { max_tokens: 5, messages, truncate_prompt_tokens: 9 })
    expect(api.fake.core.added.at(-1)!.promptTokenIds).toHaveLength(9)
  })

  test.each([{ tools: [] }, {}])("a choice that needs no call passes without tools: %j", async (tools) => {
    const choose = (type: string) => make().post(PATH, { max_tokens: 5, messages: hi, ...tools, tool_choice: { type } })
    for (const type of ["auto", "none"]) {
      const { status, json } = await choose(type)
      expect([status, [...Value.Errors(MessageObject, json)]]).toEqual([200, []])
    }
    expect((await choose("any")).status).toBe(400)
  })

  test("a budget for thinking is none where nothing tells what a thought is", async () => {
    const api = make()
    const thinking = { type: "enabled", budget_tokens: 31_999 }
    expect((await api.post(PATH, { max_tokens: 32_000, messages: hi, thinking })).status).toBe(200)
    expect(api.fake.core.added.at(-1)!.sampling.thinkingBudget).toBeNull()
    expect(api.logLines.join("")).toContain("field=thinking.budget_tokens")
  })
})

describe("the billing header", () => {
  const header = (n: number): string => `x-anthropic-billing-header: cc_version=2.1; cc_entrypoint=cli; cch=${n};`
  const want = turn("system", "S") + turn("user", "hi") + END

  test.each([
    ["a block of its own", (n: number) => [{ type: "text", text: header(n) }, { type: "text", text: "S" }]],
    ["a block with more behind it", (n: number) => [{ type: "text", text: `${header(n)}\n\nS` }]],
    ["a text", (n: number) => `${header(n)}\nS`],
  ])("in %s is no part of the prompt", async (_, system) => {
    for (const n of [1, 2]) expect(await prompt({ system: system(n) })).toBe(want)
  })

  test("alone leaves no message, also between others", async () => {
    const plain = turn("user", "hi") + END
    expect(await prompt({ system: header(1) })).toBe(plain)
    expect(await prompt({ system: [{ type: "text", text: header(1) }] })).toBe(plain)
    expect(await prompt({ messages: [{ role: "system", content: header(1) }, ...hi] })).toBe(plain)
    const blocks = [{ type: "text", text: header(1) }, { type: "text", text: "S" }]
    expect(await prompt({ messages: [...hi, { role: "system", content: blocks }] }))
      .toBe(turn("user", "hi") + turn("system", "S") + END)
  })

  test("is not counted, and text that only speaks of it stays", async () => {
    const api = make()
    const count = async (system: Json) => (await api.post(COUNT, { messages: hi, system })).json.input_tokens
    expect(await count(`${header(1)}\nS`)).toBe(await count("S"))
    expect(await prompt({ system: `See ${header(1)}` })).toContain("See x-anthropic-billing-header")
    expect(await prompt({ messages: [{ role: "user", content: header(1) }] })).toContain(header(1))
  })

  test("does not keep a prefix from being found", async () => {
    const api = make()
    const ids: (readonly number[])[] = []
    for (const n of [1, 2]) {
      const system = [{ type: "text", text: header(n) }, { type: "text", text: "S" }]
      await api.post(PATH, { max_tokens: 1, messages: hi, system })
      ids.push(api.fake.core.added.at(-1)!.promptTokenIds)
    }
    expect(ids[1]).toEqual(ids[0]!)
  })
})

describe("what another server made of a turn", () => {
  const cases: [string, Json][] = [
    ["secret thoughts", { type: "redacted_thinking", data: "EmwKAhgB" }],
    ["a call it ran", { type: "server_tool_use", id: "srvtoolu_1", name: "web_search", input: { query: "q" } }],
    ["what it found", {
      type: "web_search_tool_result", tool_use_id: "srvtoolu_1",
      content: [{ type: "web_search_result", title: "T", url: "u", encrypted_content: "x", page_age: null }],
    }],
    ["what it read", {
      type: "web_fetch_tool_result", tool_use_id: "srvtoolu_1",
      content: { type: "web_fetch_result", content: { type: "document", source: { type: "text", data: "" } } },
    }],
    ["what it ran", { type: "bash_code_execution_tool_result", tool_use_id: "s", content: { type: "x", stdout: "" } }],
    ["a call of a server's tool", { type: "mcp_tool_use", id: "mcptoolu_1", name: "f", server_name: "s", input: {} }],
    ["its result", { type: "mcp_tool_result", tool_use_id: "mcptoolu_1", is_error: false, content: [text("r")] }],
    ["an upload", { type: "container_upload", file_id: "file_1" }],
    ["another model", { type: "fallback", from: { model: "a" }, to: { model: "b" } }],
    ["a summary that it kept", { type: "compaction", content: null, encrypted_content: "x" }],
  ]
  test.each(cases)("is skipped: %s", async (_, block) => {
    const messages = [...hi, { role: "assistant", content: [block, text("A")] }, { role: "user", content: "B" }]
    expect(await prompt({ messages })).toBe(turn("user", "hi") + turn("assistant", "A") + turn("user", "B") + END)
  })

  test("is a turn without text where there is nothing else, and said in the log once", async () => {
    const api = make()
    const messages = [...hi, { role: "assistant", content: [cases[0]![1]] }, { role: "user", content: "B" }]
    for (let i = 0; i < 2; i++) {
      const { json } = await api.post(`${PATH}/render`, { max_tokens: 5, messages })
      expect(json.prompt).toBe(turn("user", "hi") + turn("assistant", "") + turn("user", "B") + END)
    }
    expect(api.logLines.filter((line) => line.includes("type=redacted_thinking"))).toHaveLength(1)
  })

  test("is its summary where it can be read", async () => {
    const messages = [{ role: "assistant", content: [{ type: "compaction", content: "So far: x." }] }, ...hi]
    expect(await prompt({ messages })).toBe(turn("assistant", "So far: x.") + turn("user", "hi") + END)
  })

  test("is refused of a user, who has none of it", async () => {
    const messages = [{ role: "user", content: [cases[0]![1]] }]
    const { status, json } = await make().post(PATH, { max_tokens: 5, messages })
    expect([status, json.error.message]).toEqual([400, expect.stringContaining("messages.0.content.0")])
  })
})

describe("results of tools", () => {
  const image = { type: "image", source: { type: "base64", media_type: "image/png", data: "aGk=" } }
  const found = {
    type: "search_result", source: "https://example.com", title: "Title", citations: { enabled: true },
    content: [{ type: "text", text: "a" }, { type: "text", text: "b" }],
  }
  const pdf = { type: "document", source: { type: "base64", media_type: "application/pdf", data: "aGk=" } }
  const cases: [string, Json, string][] = [
    ["a picture", [text("Image read"), image], "Image read\n[image omitted: this model takes text only]"],
    ["a picture alone", [image], "[image omitted: this model takes text only]"],
    ["a file", [pdf], "[document omitted: this model takes text only]"],
    ["a search result", [found], "Title\nhttps://example.com\na\nb"],
    ["a document of texts", [{ type: "document", source: { type: "content", content: found.content } }], "a\nb"],
    ["a tool that was found", [{ type: "tool_reference", tool_name: "grep" }], "grep"],
    ["a part that nobody knows", [{ type: "hologram" }], "[hologram omitted: this model takes text only]"],
  ]
  test.each(cases)("with %s", async (_, content, want) => {
    const messages = [
      ...hi,
      { role: "assistant", content: [{ type: "tool_use", id: "t1", name: "read", input: {} }] },
      { role: "user", content: [{ type: "tool_result", tool_use_id: "t1", content }] },
    ]
    expect(await prompt({ messages })).toContain(turn("tool", want))
  })

  test("that are malformed are refused by their path", async () => {
    for (const content of [[{ type: "text" }], { type: "text", text: "x" }]) {
      const messages = [{ role: "user", content: [{ type: "tool_result", tool_use_id: "t1", content }] }]
      const { status, json } = await make().post(PATH, { max_tokens: 5, messages })
      expect([status, json.error.message]).toEqual([400, expect.stringContaining("messages.0.content.0.content")])
    }
  })

  test("may have a picture beside them", async () => {
    const messages = [{ role: "user", content: [{ type: "tool_result", tool_use_id: "t1", content: "read" }, image] }]
    expect(await prompt({ messages }))
      .toBe(turn("tool", "read") + turn("user", "[image omitted: this model takes text only]") + END)
  })

  test("a search result is a user's text too; a picture of a user's is still refused", async () => {
    const asked = (block: Json) => ({ messages: [{ role: "user", content: [block] }] })
    expect(await prompt(asked(found))).toContain("Title\nhttps://example.com\na\nb")
    expect((await make().post(PATH, { max_tokens: 5, ...asked(image) })).status).toBe(400)
  })
})
