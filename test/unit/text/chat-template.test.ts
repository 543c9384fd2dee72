import { afterAll, describe, expect, test } from "bun:test"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { ConfigError, RequestError } from "../../../src/base/errors.ts"
import { ChatTemplate, type ChatTemplateInput } from "../../../src/text/chat-template.ts"
import { findChatTemplates, findGgufChatTemplates } from "../../../src/text/find-chat-template.ts"

const render = (source: string, input: Partial<ChatTemplateInput> = {}) => ChatTemplate.parse(source).render({ messages: [], ...input })

describe("as Python's Jinja", () => {
  const v = { a: [1, 2.5, true, null, "é\u007f\"\\\n"], B: {}, ñ: [], z: { y: [{}] } }
  // [template, what Jinja 3 with transformers' filters gives]
  const rows: [string, string][] = [
    ["{{ v | tojson }}", '{"a": [1, 2.5, true, null, "é\u007f\\"\\\\\\n"], "B": {}, "ñ": [], "z": {"y": [{}]}}'],
    ["{{ v.z | tojson(indent=2) }}", '{\n  "y": [\n    {}\n  ]\n}'],
    ["{{ v.a | tojson(true) }}", '[1, 2.5, true, null, "\\u00e9\\u007f\\"\\\\\\n"]'],
    ["{{ v.z | tojson(false, 1) }}", '{\n "y": [\n  {}\n ]\n}'],
    ["{{ v | tojson(sort_keys=True, separators=(',', ':')) }}", '{"B":{},"a":[1,2.5,true,null,"é\u007f\\"\\\\\\n"],"z":{"y":[{}]},"ñ":[]}'],
    ["{{ none }}|{{ true }}|{{ 1.0 }}|{{ u }}|{{ 'x' ~ true ~ none }}", "None|True|1.0||xTrueNone"],
    ["{{ v.a }}{{ v.z }}", "[1, 2.5, True, None, 'é\\x7f\"\\\\\\n']{'y': [{}]}"],
    ["{{ [\"it's\"] | string }}", '["it\'s"]'],
    ["{% for i in range(6) %}{% if i == 1 %}{% continue %}{% endif %}{% if i == 4 %}{% break %}{% endif %}{{ loop.index }}{% endfor %}", "134"],
    ["a{% generation %}b{% endgeneration %}c", "abc"],
    ["{% set ns = namespace(n=0) %}{% for m in [1, 2] %}{% set ns.n = ns.n + m %}{% endfor %}{{ ns.n }}", "3"],
    ["  {% if true %}\n  x\n  {% endif %}\n", "  x\n"],
    ["{{ tools is none }}{{ documents is none }}{{ bos_token is defined }}", "TrueTrueFalse"],
  ]
  for (const [source, expected] of rows) test(source.slice(0, 60), () => expect(render(source, { kwargs: { v } })).toBe(expected))

  test("ten thousand turns with continue are no nesting", () => {
    expect(render("{% for i in range(10000) %}{% continue %}{% endfor %}done")).toBe("done")
  })

  test("strftime_now", () => {
    const now = new Date(2026, 0, 5, 14, 7, 9)
    expect(render("{{ strftime_now('%d %b %Y|%A, %B %-d|%H:%M:%S|%I %p|%j|%y-%m|%Q%%') }}", { now })).toBe(
      "05 Jan 2026|Monday, January 5|14:07:09|02 PM|005|26-01|%Q%",
    )
  })
})

describe("variables", () => {
  test("special tokens, further variables, and the caller's own on top", () => {
    const source = "{{ bos_token }}{{ enable_thinking }}{{ messages | length }}{{ add_generation_prompt }}"
    const input = { specialTokens: { bos_token: "<s>" }, kwargs: { enable_thinking: false, messages: "mine" }, addGenerationPrompt: true }
    expect(render(source, input)).toBe("<s>False0True")
  })

  test("arguments of tool calls are objects", () => {
    const source = "{% for m in messages %}{% for c in m.tool_calls %}{{ c.function.arguments | tojson }}{% endfor %}{% endfor %}"
    const call = (args: unknown) => ({ messages: [{ role: "assistant", tool_calls: [{ function: { name: "f", arguments: args } }] }] })
    expect(render(source, call('{"x": [1]}'))).toBe('{"x": [1]}')
    expect(render(source, call({ x: 1 }))).toBe('{"x": 1}')
    expect(render(source, call(""))).toBe("{}")
    expect(render(source, call("{x"))).toBe("{}")
  })
})

describe("errors and limits", () => {
  test("raise_exception is the client's error, in the template's words", () => {
    const error = (() => {
      try {
        render("{{ raise_exception('Roles must alternate') }}")
      } catch (reason) {
        return reason
      }
    })()
    expect(error).toBeInstanceOf(RequestError)
    expect((error as RequestError).message).toBe("Roles must alternate")
    expect((error as RequestError).status).toBe(400)
  })

  test("a template that is none", () => {
    const sources = [
      "{% if %}", "{{ x", "{% for %}", "{{ 1 +", "{% endif %}", "x".repeat(2_000_000),
      `{{ ${"(".repeat(100_000)} }}`, `{{ 1${"+1".repeat(100_000)} }}`, "{% if 1 %}".repeat(50_000),
    ]
    for (const source of sources) expect(() => ChatTemplate.parse(source)).toThrow(ConfigError)
  })

  const DOUBLED =
    "{% set ns = namespace(x=(1,)) %}{% for i in range(60) %}{% set ns.x = (ns.x, ns.x) %}{% endfor %}"
  const runaways: [string, RegExp][] = [
    ["{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}", /more than \d+ (steps|ms)/],
    ["{% set ns = namespace(x='aa') %}{% for i in range(99) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}", /characters/],
    ["{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", /levels/],
    ["{{ 'x' | indent(2000000000, first=true) }}", /\d{4}/],
    ["{{ 'x' | indent(width=2000000000, first=true) }}", /\d{4}/],
    ["{% for i in range(10 ** 9) %}{% endfor %}", /range\(\) of 1000000000 numbers; the limit is 100000/],
    ["{% for a in range(99999) %}{% for b in range(99) %}{{ nothing }}{% endfor %}{% endfor %}", /more than \d+ (steps|ms)/],
    ["{{ messages | no_such_filter }}", /chat template: /],
    ["{{ 'a' | indent(2000000000) }}", /characters/],
    ["{{ 'a' * 10 ** 12 }}", /characters/],
    ["{{ [0] * 10 ** 12 }}", /entries/],
    ["{{ 'a'.ljust(2000000000) }}", /characters/],
    ["{{ '%2000000000d' % 1 }}", /characters/],
    ["{{ '{:2000000000}'.format(1) }}", /characters/],
    ["{{ {} | tojson(indent=2000000000) }}", /characters/],
    ["{{ [1] | batch(2000000000, 0) | list }}", /entries/],
    ["{{ ('a' * 1000000).replace('a', 'b' * 1000000) }}", /characters/],
    ["{{ 2 ** (2 ** 40) }}", /digits/],
    ["{{ ('a,' * 9000000).split(',') | length }}", /entries|steps|ms/],
    ["{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}", /levels/],
    [`${DOUBLED}{{ ns.x }}`, /steps|ms|characters/],
    [`${DOUBLED}{{ {ns.x: 1} }}`, /too large for a key/],
  ]
  for (const [source, message] of runaways) {
    test(source.slice(-60), () => expect(() => render(source)).toThrow(message))
  }
})

test("content is parts where a loop goes over it", () => {
  const rows: [string, "string" | "openai"][] = [
    ["{% for m in messages %}{{ m.content }}{% endfor %}", "string"],
    ["{% for m in messages %}{% for p in m['content'] %}{{ p.text }}{% endfor %}{% endfor %}", "openai"],
    ["{% for m in messages %}{% for p in m.content | list %}{{ p.text }}{% endfor %}{% endfor %}", "openai"],
    ["{% set l = messages[1:] %}{% for m in l %}{% set c = m.content %}{% for p in c %}{{ p }}{% endfor %}{% endfor %}", "openai"],
    ["{% for m in messages %}{% for c in m.tool_calls %}{{ c }}{% endfor %}{% endfor %}", "string"],
    ["{% for m in messages if m.role == 'user' %}{% for p in m.content if p.text %}{{ p }}{% endfor %}{% endfor %}", "openai"],
    ["hello", "string"],
  ]
  for (const [source, format] of rows) expect([source, ChatTemplate.parse(source).contentFormat]).toEqual([source, format])
})

describe("where templates are", () => {
  const root = mkdtempSync(join(tmpdir(), "templates-"))
  afterAll(() => rmSync(root, { recursive: true }))
  const write = (file: string, content: unknown) => writeFileSync(join(root, file), typeof content === "string" ? content : JSON.stringify(content))

  test("the Jinja file, then chat_template.json, then tokenizer_config.json", () => {
    const found = () => Object.fromEntries(findChatTemplates(root))
    expect(found()).toEqual({})
    write("tokenizer_config.json", { chat_template: [{ name: "default", template: "D" }, { name: "tool_use", template: "T" }] })
    expect(found()).toEqual({ default: "D", tool_use: "T" })
    write("tokenizer_config.json", { chat_template: { default: "D", rag: "R" } })
    expect(found()).toEqual({ default: "D", rag: "R" })
    write("tokenizer_config.json", { chat_template: "C" })
    expect(found()).toEqual({ default: "C" })
    // Further templates do not hide the default, wherever that is kept.
    mkdirSync(join(root, "additional_chat_templates"))
    write("additional_chat_templates/tool_use.jinja", "JT")
    write("additional_chat_templates/README.md", "no template")
    expect(found()).toEqual({ default: "C", tool_use: "JT" })
    write("chat_template.json", { chat_template: "P" })
    expect(found()).toEqual({ default: "P", tool_use: "JT" })
    write("chat_template.jinja", "J")
    expect(found()).toEqual({ default: "J", tool_use: "JT" })
    // A Jinja file replaces all that tokenizer_config.json says, as it does in transformers.
    write("tokenizer_config.json", { chat_template: [{ name: "rag", template: "R" }] })
    expect(found()).toEqual({ default: "J", tool_use: "JT" })
  })

  test("GGUF metadata", () => {
    const metadata = new Map<string, unknown>([
      ["tokenizer.chat_template", "G"],
      ["tokenizer.chat_template.tool_use", "GT"],
      ["tokenizer.chat_templates", ["tool_use"]],
    ])
    expect(Object.fromEntries(findGgufChatTemplates(metadata))).toEqual({ default: "G", tool_use: "GT" })
    expect(findGgufChatTemplates(new Map()).size).toBe(0)
  })
})
