/**
 * Templates render as Python's Jinja2 renders them under transformers' settings: expressions, statements, white space,
 * errors. templates/cases.json is written by test/tools/render_cases.py.
 */
import { describe, expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { ChatTemplate, type ChatMessage } from "../../../src/text/chat-template.ts"
import { TemplateError, TemplateFault, TemplateSyntaxError } from "../../../src/text/jinja/errors.ts"
import { Template } from "../../../src/text/jinja/template.ts"
import { fixture } from "../../fixtures.ts"
import { parseExactJson } from "../../tools/exact-json.ts"

interface Recorded {
  now: string
  variables: Record<string, unknown>
  cases: [template: string, text: string | null][]
}

const recorded = parseExactJson(readFileSync(join(import.meta.dir, "templates/cases.json"), "utf8")) as Recorded

/** Null for errors that a client is told of; any other is a bug. */
function render(source: string): string | null {
  try {
    return new Template(source).render(recorded.variables, new Date(recorded.now))
  } catch (error) {
    const isKnown = [TemplateError, TemplateFault, TemplateSyntaxError].some((kind) => error instanceof kind)
    if (!isKnown) throw error
    return null
  }
}

test(`${recorded.cases.length} recorded cases`, () => {
  const wrong = recorded.cases.flatMap(([template, wanted]) => {
    const rendered = render(template)
    return rendered === wanted ? [] : [{ template, wanted, rendered }]
  })
  expect(wrong).toEqual([])
  expect(recorded.cases.length).toBeGreaterThan(2000)
})

interface Field {
  input: { messages: ChatMessage[]; tools: unknown[]; chat_template_kwargs: Record<string, unknown> }
  cases: { template: string; want?: string; error?: string }[]
}

const file = fixture("field/jinja.json")

describe.skipIf(file === null)("cases from the field", () => {
  const field = file === null ? null : (parseExactJson(readFileSync(file, "utf8")) as Field)
  const { input, cases } = field ?? { input: null, cases: [] }

  test.each(cases.map((each) => [each.template.slice(0, 80), each] as const))("%s", (_, { template, want }) => {
    const run = () => ChatTemplate.parse(template).render({
      messages: input!.messages, tools: input!.tools, addGenerationPrompt: true, kwargs: input!.chat_template_kwargs,
      specialTokens: { bos_token: "<|im_start|>", eos_token: "<|im_end|>", unk_token: "<|endoftext|>" },
    })
    if (want === undefined) expect(run).toThrow()
    else expect(run()).toBe(want)
  })
})
