import { describe, expect, test } from "bun:test"
import { ConfigError } from "../../../src/base/errors.ts"
import { ChatTemplate } from "../../../src/text/chat-template.ts"
import { ChatTemplates } from "../../../src/text/chat-templates.ts"

const plain = { hasTools: false, hasDocuments: false }
const tools = { ...plain, hasTools: true }
const documents = { ...plain, hasDocuments: true }

function chosen(sources: Record<string, string>) {
  const templates = ChatTemplates.parse(new Map(Object.entries(sources)))
  return [plain, tools, documents, { hasTools: true, hasDocuments: true }]
    .map((chat) => templates.choose(chat)?.source ?? null)
}

describe("which of a model's templates a chat takes", () => {
  // Sources, and what a plain chat takes, one with tools and one with documents.
  const rows: [Record<string, string>, string | null, string | null, string | null][] = [
    [{}, null, null, null],
    [{ default: "D" }, "D", "D", "D"],
    [{ default: "D", tool_use: "T", rag: "R", other: "O" }, "D", "T", "R"],
    [{ default: "D", rag: "R" }, "D", "D", "R"],
    [{ tool_use: "T" }, null, "T", null],
  ]
  for (const [sources, ...expected] of rows)
    test(JSON.stringify(sources), () => {
      expect(chosen(sources).slice(0, 3)).toEqual(expected)
      // Tools come first: documents may be given in a message's text, tools may not.
      expect(chosen(sources)[3]).toBe(sources["tool_use"] ?? expected[2])
    })

  test("by name", () => {
    const templates = ChatTemplates.parse(new Map([["default", "D"], ["other", "O"]]))
    expect(templates.names).toEqual(["default", "other"])
    expect([templates.get("other")?.source, templates.get("D")]).toEqual(["O", null])
  })

  test("one for all", () => {
    const template = ChatTemplate.parse("X")
    expect(ChatTemplates.of(template).choose(tools)).toBe(template)
    expect(ChatTemplates.of(null).choose(tools)).toBeNull()
  })

  test("one that is no template is named", () => {
    const parse = (sources: Record<string, string>) => () => ChatTemplates.parse(new Map(Object.entries(sources)))
    expect(parse({ default: "D", rag: "{{" })).toThrow(ConfigError)
    expect(parse({ default: "D", rag: "{{" })).toThrow(/cannot be parsed.*"rag".*--chat-template/)
  })
})
