/** Chat templates out of pieces of templates: they are refused with words, or make a text within their limits. */
import { expect } from "bun:test"
import type { Prng } from "../../src/base/prng.ts"
import { ChatTemplate } from "../../src/text/chat-template.ts"
import { readOrRefused, type FuzzTarget } from "./target.ts"

/** UTF-16 units; a template may make no more. */
const MOST_TEXT = 64 * 2 ** 20

const EXPRESSIONS = [
  "messages", "m", "m.content", "m['role']", "loop.index0", "loop.last", "tools", "none", "true", "1", "-7", "2.5",
  "10 ** 9", "2000000000", "'x'", "'ab' * 3", "''", "[]", "{}", "[1, 'a', none]", "{'a': [1]}", "ns.x", "missing",
  "missing.deep", "range(3)", "range(10 ** 12)", "namespace(x=1)", "messages[0]", "messages[::-1]", "m.content[1:]",
  "f(3)", "self", "loop", "messages | length", "cycler('a', 'b')", "joiner()", "lipsum", "m.content.split(' ')",
  "m.content.strip('x')", "'%s' % m.role", "'{}'.format(1)", "strftime_now('%Y')", "raise_exception('no')",
]
const FILTERS = [
  "trim", "tojson", "tojson(indent=2)", "tojson(indent=2000000000)", "length", "upper", "list", "string", "int",
  "first", "last", "reverse", "sort", "join(',')", "join('x' * 1000)", "indent(4)", "indent(2000000000, first=true)",
  "replace('a', 'bb')", "replace('', 'xyz')", "default('d')", "items", "map('upper')", "map(attribute='content')",
  "selectattr('role')", "batch(2)", "sum", "min", "e", "center(2000000000)", "wordwrap(1)", "nosuchfilter",
]
const OPERATORS = ["+", "-", "*", "//", "%", "**", "~", "==", "<", "and", "or", "in", "not in", "is", "if", "else"]
const STATEMENTS = [
  "for m in messages", "for a in range(9)", "for k, v in {'a': 1}.items()", "endfor", "if m.role == 'user'", "elif x",
  "else", "endif", "set ns.x = ns.x ~ m.content", "set x = messages", "set x", "endset", "macro f(a, b=1)", "endmacro",
  "break", "continue", "filter upper", "endfilter", "call f(1)", "endcall", "generation", "endgeneration", "raw",
  "endraw", "nosuchstatement",
]

function expression(prng: Prng, depth = 0): string {
  const simple = prng.pick(EXPRESSIONS)
  if (depth > 2) return simple
  switch (prng.int(0, 5)) {
    case 0:
      return `${expression(prng, depth + 1)} | ${prng.pick(FILTERS)}`
    case 1:
      return `${expression(prng, depth + 1)} ${prng.pick(OPERATORS)} ${expression(prng, depth + 1)}`
    case 2:
      return `(${expression(prng, depth + 1)})[${expression(prng, depth + 1)}]`
    default:
      return simple
  }
}

/** Most of them whole, so that some of them run. */
function source(prng: Prng, depth = 0): string {
  let text = ""
  for (let parts = prng.int(1, 6); parts > 0; parts--) {
    const inside = depth < 3 ? source(prng, depth + 1) : "y"
    switch (prng.int(0, 7)) {
      case 0:
        text += `{% for m in ${prng.chance(0.5) ? "messages" : expression(prng)} %}${inside}{% endfor %}`
        break
      case 1:
        text += `{% if ${expression(prng)} %}${inside}{% endif %}`
        break
      case 2:
        text += `{% set x = ${expression(prng)} %}`
        break
      case 3:
        text += `{%- macro f(a) -%}${inside}{{ f(a) }}{%- endmacro -%}`
        break
      case 4:
        text += prng.chance(0.1) ? `{% ${prng.pick(STATEMENTS)} %}` : inside
        break
      default:
        text += `{{ ${expression(prng)} }}`
    }
  }
  return text
}

const MESSAGES = [
  { role: "system", content: "be brief" }, { role: "user", content: "héllo  {{ x }} 😀\n" },
  { role: "assistant", content: null, tool_calls: [{ function: { name: "f", arguments: '{"a": 1e20}' } }] },
  { role: "tool", content: [{ type: "text", text: "x" }] },
]

export const TEMPLATE_TARGET: FuzzTarget = {
  name: "templates",
  async run(prng) {
    const text = source(prng)
    const cut = prng.chance(0.1) ? text.slice(0, prng.int(0, text.length)) : text
    const template = await readOrRefused(() => ChatTemplate.parse(cut))
    if (template === null) return
    const tools = prng.chance(0.5) ? [{ type: "function", function: { name: "f", parameters: {} } }] : null
    const input = { messages: MESSAGES, tools, addGenerationPrompt: true }
    const rendered = await readOrRefused(() => template.render(input))
    expect(rendered === null || rendered.length <= MOST_TEXT).toBe(true)
  },
}
