/**
 * Released chat templates render as under transformers: seven conversations, three settings, compared by SHA-256.
 * templates/renders.json is written by test/tools/render_templates.py.
 */
import { describe, expect, test } from "bun:test"
import { createHash } from "node:crypto"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { RequestError } from "../../../src/base/errors.ts"
import { ChatTemplate, type ChatMessage } from "../../../src/text/chat-template.ts"
import { parseExactJson } from "../../tools/exact-json.ts"
import { releasedTemplates } from "../../tools/released-templates.ts"

interface Setting {
  add_generation_prompt: boolean
  tools?: string
  variables?: Record<string, unknown>
}

interface Inputs {
  variables: Record<string, string>
  conversations: Record<string, ChatMessage[]>
  tools: Record<string, unknown[]>
  settings: Record<string, Setting>
}

interface Renders {
  now: string
  templates: Record<string, { source: string; renders: string[] }>
}

const read = (name: string): string => readFileSync(join(import.meta.dir, "templates", name), "utf8")
const inputs = parseExactJson(read("conversations.json")) as Inputs
const recorded = JSON.parse(read("renders.json")) as Renders
const now = new Date(recorded.now)

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex")

/** As render_templates.py records it. */
function render(template: ChatTemplate, messages: readonly ChatMessage[], setting: Setting): string {
  try {
    return sha256(template.render({
      messages, now,
      tools: setting.tools === undefined ? null : inputs.tools[setting.tools]!,
      addGenerationPrompt: setting.add_generation_prompt,
      specialTokens: inputs.variables,
      kwargs: setting.variables ?? {},
    }))
  } catch (error) {
    if (!(error instanceof RequestError)) throw error
    return /^chat template: |^the template /.test(error.message) ? "fails" : `raises ${sha256(error.message)}`
  }
}

const sources = releasedTemplates()

describe.skipIf(sources === null)("templates of released models", () => {
  test("are those that were recorded", () => {
    const hashes = [...sources!].map(([name, source]) => [name, sha256(source)])
    expect(hashes).toEqual(Object.entries(recorded.templates).map(([name, { source }]) => [name, source]))
    expect(hashes.length).toBe(70)
    expect(Object.keys(inputs.conversations).length).toBe(7)
    expect(Object.keys(inputs.settings).length).toBe(3)
  })

  test.each([...(sources ?? [])])("%s", (name, source) => {
    const template = ChatTemplate.parse(source)
    const wanted = recorded.templates[name]!.renders
    const rendered = Object.entries(inputs.conversations).flatMap(([conversation, messages]) =>
      Object.entries(inputs.settings).map(([setting, values]) =>
        `${conversation}, ${setting}: ${render(template, messages, values)}`))
    const labels = rendered.map((line) => line.slice(0, line.lastIndexOf(": ")))
    expect(rendered).toEqual(labels.map((label, i) => `${label}: ${wanted[i]}`))
  })
})
